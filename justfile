# The tasks of fal-relay. `just` alone lists them; `tests/run` and `.ci/run` need no just.

_default:
    @just --list --unsorted

# What CI runs: format, lints, licences, tests.
check:
    .ci/run

# All tests, after installing what they need. Arguments go to cargo-nextest.
test *args:
    tests/run {{ args }}

# Fuzzes every target for a while; `just fuzz --each 300 rewrite` fuzzes one for five minutes.
fuzz *args:
    fuzz/run {{ args }}

# Formats the code.
fmt:
    cargo fmt
    cargo fmt --manifest-path fuzz/Cargo.toml

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

# What the ledger costs, and questions to ten million rows.
ledger *args:
    cargo bench --locked --profile dist --bench ledger -- {{ args }}

# Makes the list of keys in docs/configuration.md from config/fal-relay.toml.
docs:
    UPDATE_DOCS=1 cargo nextest run --locked --lib config::tests::documented

# The container image, with docker or, without an engine, buildah.
image tag="fal-relay":
    deploy/build-image --tag {{ tag }}

# Runs the image's root file system as a container would, and the curl story against it.
try-image *root:
    deploy/try-image {{ root }}

# Restarts relays behind HAProxy under load. Needs haproxy, openssl and a release build.
drill-restart *args:
    deploy/drill-restart {{ args }}
