"""Configuration: the schema, its keys explained, YAML files with overrides, and plug-ins."""
