# Stands in for rust:1.95-bookworm: Debian's C compiler, and the toolchain that this machine builds with.
FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
COPY bin /usr/local/bin
COPY lib /usr/local/lib
ENV CARGO_HOME=/usr/local/cargo
# What this machine trusts: its way to the registry of crates may lead over one of its own.
COPY ca-certificates.crt /etc/ssl/certs/
