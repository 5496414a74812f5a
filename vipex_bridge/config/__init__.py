"""The configuration: files -> `yaml_reader` -> `schema` and `client_schema` -> `convert` -> `settings`.

The rest of the bridge imports `settings`, and `load` to get them; pydantic stays inside this package.
"""
