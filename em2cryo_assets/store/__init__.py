"""The store: immutable artifacts by digest, and the formats they are written in. Knows no Dagster."""
