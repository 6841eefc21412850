# Each recipe is a step of .ci/run, so that what passes here passes there.

# Lists the recipes.
default:
    @just --list

# The shop on a nats-server of its own, for a minute: just demo --orders 500
demo *flags:
    cargo run --release --bin tidewire -- demo {{ flags }}

# Every test.
test:
    .ci/run test

# Whether the code is formatted; `cargo fmt --all` does it.
fmt:
    .ci/run fmt

# Lints, warnings being errors.
clippy:
    .ci/run clippy

# Without any feature, and with each one alone.
features:
    .ci/run features

# The documentation, warnings being errors.
doc:
    .ci/run doc

# Python, JavaScript and Prometheus against our services; needs python3, npm and apt-get, and unpacks into target/foreign.
foreign:
    .ci/run foreign

# Kills workers and servers under load and audits every message, for about an hour; `.ci/run crash` is a small part
# of it: just crash server --times 10
crash *flags:
    cargo run --release -p tidewire-acceptance --bin crash -- {{ flags }}

# Tidewire beside async-nats, in interleaved rounds; about a quarter of an hour: just bench --rounds 3 --small
bench *flags:
    cargo run --release -p tidewire-bench -- run {{ flags }}

# The same on a runtime with a thread for each processor.
bench-threads *flags:
    cargo run --release -p tidewire-bench -- run --runtime multi-thread --rows bench/results/threads.jsonl {{ flags }}

# The pure part of a delivery, decoding to settlement, in nanoseconds and without a server.
bench-delivery *flags:
    cargo bench -p tidewire-core --bench delivery -- {{ flags }}

# What metrics and traces cost, in the same way; a build of its own, since a log has more fields with the feature.
bench-traces *flags:
    cargo run --release -p tidewire-bench --features otlp -- run --only consume-1,consume-64 --sides silent,traced,sampled,raw \
        --rows bench/results/traces.jsonl {{ flags }}

# Where the processor time goes, by `perf` on each side of one round: just profile --only publish
profile *flags:
    CARGO_PROFILE_RELEASE_DEBUG=line-tables-only cargo run --release -p tidewire-bench -- run --rounds 1 \
        --rows target/profile/rows.jsonl --perf target/profile {{ flags }}
    for file in target/profile/*.data; do \
        echo "$file" && perf report --stdio --percent-limit 1 --sort comm,symbol --input "$file"; \
    done

# Writes the table of the last rows into the book.
bench-page:
    cargo run --release -p tidewire-bench -- page

# Whether the book shows the figures of the rows.
figures:
    .ci/run figures

# Licences, banned crates and sources of all dependencies.
deny:
    .ci/run deny

# The lengths of files, the paths and the links in them.
house:
    .ci/run house

# All of it, as CI runs it.
ci:
    .ci/run
