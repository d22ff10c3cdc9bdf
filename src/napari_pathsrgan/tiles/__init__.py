"""Which tile, when, from where: knows neither slides nor networks."""
