# fal-relay as an image: one program, the libraries that it names, the certificates of the public authorities. No shell.
#
#   docker build --tag fal-relay .                   (without an engine: deploy/build-image)
#   docker run --rm -p 8787:8787 -p 8790:8790 fal-relay serve --sandbox
#   docker run --rm -p 8787:8787 -e FAL_KEY -v fal-relay-data:/data fal-relay
#
# Build it anew with `--pull --no-cache` for newer certificates and libraries.

FROM rust:1.95-slim-bookworm AS build
# What the image takes from Debian, as new as its archive.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libc6 libgcc-s1
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin fal-relay \
    && deploy/image-root target/dist/fal-relay /image

FROM scratch
COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 /image/data/ /data/

# Outside a container every listener is on loopback; in one, what is published decides who gets in.
# Publish 8789, the admin listener, to yourself alone, and 8790, the simulated fal, for nothing but `--sandbox`: its pictures
# have addresses there. Published elsewhere than on this machine's 8790, it must be told where.
ENV FAL_RELAY_SERVER__LISTEN=0.0.0.0:8787 \
    FAL_RELAY_SERVER__HTTPS_LISTEN=0.0.0.0:8788 \
    FAL_RELAY_SERVER__ADMIN_LISTEN=0.0.0.0:8789 \
    FAL_RELAY_STORE__URL=sqlite:///data/relay.db \
    FAL_RELAY_SANDBOX__LISTEN=0.0.0.0:8790 \
    FAL_RELAY_SANDBOX__PUBLIC_URL=http://localhost:8790 \
    FAL_RELAY_SANDBOX__DATA_DIR=/data/sandbox

USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8787 8788 8789 8790
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/usr/local/bin/fal-relay", "health"]
ENTRYPOINT ["/usr/local/bin/fal-relay"]
CMD ["serve"]
