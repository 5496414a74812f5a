"""One module a step. A step describes its tables itself: `store.schema` is as the newest version has them."""
