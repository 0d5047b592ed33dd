# The image of one node. Two stages: the first compiles, the second holds Node.js, the production packages and dist/.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
# A registry other than npm's own, where that one is out of reach: --build-arg NPM_CONFIG_REGISTRY=...
ARG NPM_CONFIG_REGISTRY
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/prepare.mjs scripts/prepare.mjs
COPY src src
RUN node scripts/prepare.mjs --force && npm prune --omit=dev --no-audit --no-fund --loglevel=error \
 && rm -f dist/.tsbuildinfo dist/.built && find dist -name '*.map' -delete

FROM ${NODE_IMAGE}
WORKDIR /opt/quorate
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
RUN ln -s /opt/quorate/dist/cli/quorate.cjs /usr/local/bin/quorate \
 && mkdir /data && chown node:node /data
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=8388608 \
    NODE_OPTIONS="--v8-pool-size=1 --max-semi-space-size=16" \
    QUORATE_DATA_DIR=/data \
    QUORATE_LISTEN=0.0.0.0:7700 \
    QUORATE_PEER_LISTEN=0.0.0.0:7701
USER node
VOLUME /data
EXPOSE 7700 7701
STOPSIGNAL SIGTERM
ENTRYPOINT ["quorate"]
CMD ["serve"]
