# One image for everything: `recapture` (control, producer, das, …), `recapture-worker`, and the simulator for trying out.
#
#   docker build -t recapture .                        builds the programs from this source
#   docker build -t recapture --target prebuilt .      packs programs that were built before into dist/, against a
#                                                      glibc no newer than Debian 12's (2.36)
#
# What runs is not root, writes nothing but its volumes, and gets its signals itself.

FROM debian:bookworm-slim AS runtime
# Root certificates for Zoom and the data access service; the official slim image has none.
RUN test -s /etc/ssl/certs/ca-certificates.crt || \
    { apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*; }
# A new named volume takes the owner of the folder that it is mounted on.
RUN groupadd --gid 10001 recapture && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/recapture --shell /usr/sbin/nologin recapture && \
    install -d -o recapture -g recapture -m 0750 /var/lib/recapture /var/lib/recapture/buffer /var/lib/recapture/csv && \
    for secret in redis postgres das server grafana; do \
        install -d -o recapture -g recapture -m 0755 /run/recapture/secrets/$secret || exit 1; done
COPY deploy/compose/make-secrets /usr/local/bin/
WORKDIR /var/lib/recapture
USER 10001:10001
EXPOSE 8080 8081
# It asks what the container was started with; a one-shot is well while it runs.
HEALTHCHECK --interval=5s --timeout=5s --retries=6 CMD ["recapture", "healthcheck"]
ENTRYPOINT ["recapture"]
CMD ["--help"]

# It stands before what compiles: the older builder makes every stage down to its target. For the same reason it has to come
# through where there is no dist/, hence the pattern: make-secrets is there already, and a pattern may match nothing.
FROM runtime AS prebuilt
COPY deploy/compose/make-secrets dist/recapture* /usr/local/bin/

FROM rust:1.95-bookworm AS build
WORKDIR /source
# Dependencies first: they change seldom, and this layer is kept while they do not.
COPY Cargo.toml Cargo.lock ./
COPY core/Cargo.toml core/
COPY workers/Cargo.toml workers/
COPY simulator/Cargo.toml simulator/
RUN mkdir -p src core/src workers/src simulator/src && \
    for place in src core/src workers/src simulator/src; do touch $place/lib.rs; done && \
    for place in src workers/src simulator/src; do echo 'fn main() {}' > $place/main.rs; done && \
    cargo build --release --locked --workspace && \
    rm -rf src core/src workers/src simulator/src
COPY config config
COPY docs/das-openapi.json docs/
COPY core core
COPY workers workers
COPY simulator simulator
COPY src src
# The stand-ins above are newer than the source, which would look built already.
RUN find src core workers simulator -name '*.rs' -exec touch {} + && \
    cargo build --release --locked --workspace --bins

FROM runtime AS built
COPY --from=build /source/target/release/recapture /source/target/release/recapture-worker \
     /source/target/release/recapture-simulator /usr/local/bin/
