"""The relay beside nginx and HAProxy: what `benches/compare/run` and `benches/compare/instructions` are made of."""
