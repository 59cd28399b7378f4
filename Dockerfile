# fal-relay as an image: built with the release's own profile, run by a user without rights.
#
#   docker build --tag fal-relay .
#   docker run --rm -p 8787:8787 fal-relay serve --sandbox
#   docker run --rm -p 8787:8787 -e FAL_KEY -v fal-relay-data:/data fal-relay

# The builder's glibc must not be newer than the runtime's: both are Debian 12.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin fal-relay \
    && install -D target/dist/fal-relay /out/fal-relay

FROM debian:bookworm-slim
# Certificates of the public authorities, for the road to fal.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 fal-relay \
    && useradd --uid 65532 --key UID_MAX=65535 --gid 65532 --no-create-home --home-dir /data --shell /usr/sbin/nologin fal-relay \
    && install --directory --owner 65532 --group 65532 --mode 0700 /data
COPY --from=build /out/fal-relay /usr/local/bin/fal-relay

# Outside a container every listener is on loopback; in one, what is published decides who gets in.
# Publish 8789, the admin listener, to yourself alone.
ENV FAL_RELAY_SERVER__LISTEN=0.0.0.0:8787 \
    FAL_RELAY_SERVER__HTTPS_LISTEN=0.0.0.0:8788 \
    FAL_RELAY_SERVER__ADMIN_LISTEN=0.0.0.0:8789 \
    FAL_RELAY_STORE__URL=sqlite:///data/relay.db \
    FAL_RELAY_SANDBOX__DATA_DIR=/data/sandbox

USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8787 8788 8789
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["fal-relay", "health"]
ENTRYPOINT ["fal-relay"]
CMD ["serve"]
