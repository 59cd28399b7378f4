# The tasks of fal-relay. `just` alone lists them; `tests/run` and `.ci/run` need no just.

_default:
    @just --list --unsorted

# What CI runs: format, lints, licences, tests.
check:
    .ci/run

# All tests, after installing what they need. Arguments go to cargo-nextest.
test *args:
    tests/run {{ args }}

# Formats the code.
fmt:
    cargo fmt

# Lints as CI does.
lint:
    cargo clippy --locked --all-targets -- -D warnings

# Known vulnerabilities in dependencies. Needs the network.
audit:
    cargo deny --locked check advisories

# A relay with a pretended fal behind it: no account, no cost.
run *args:
    cargo run --release -- serve --sandbox {{ args }}

# Counts of the house: lines per file and function, unwraps.
counts:
    cargo nextest run --locked --test layering --no-capture

# The relay beside nginx and HAProxy. Needs Debian's nginx-light, haproxy and strace.
compare *args:
    benches/compare/run {{ args }}

# Instructions per request beside the recorded ones. Needs valgrind.
instructions *args:
    benches/compare/instructions {{ args }}

# The container image.
image tag="fal-relay":
    docker build --tag {{ tag }} .
