# One image for everything: `recapture` (control, producer, das, …), `recapture-worker`, and the simulator for trying out.
#
#   docker build -t recapture .                        builds the programs from this source
#   docker build -t recapture --target prebuilt .      packs programs that were built before into dist/
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
    install -d -o recapture -g recapture -m 0755 /run/recapture/secrets
COPY deploy/compose/make-secrets /usr/local/bin/
WORKDIR /var/lib/recapture
USER 10001:10001
EXPOSE 8080 8081
ENTRYPOINT ["recapture"]
CMD ["--help"]

FROM runtime AS prebuilt
COPY dist/recapture dist/recapture-worker dist/recapture-simulator /usr/local/bin/

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
    cargo build --release --locked --workspace; \
    rm -rf src core/src workers/src simulator/src
COPY . .
# The stand-ins above are newer than the source, which would look built already.
RUN find src core workers simulator -name '*.rs' -exec touch {} + && \
    cargo build --release --locked --workspace --bins

FROM runtime
COPY --from=build /source/target/release/recapture /source/target/release/recapture-worker \
     /source/target/release/recapture-simulator /usr/local/bin/
