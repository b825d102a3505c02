# @MARK@
# Two targets: nginx, and server, which is the image of your Dockerfile with Bascule in it. The
# compose file builds that one first, and names it here.
ARG APPLICATION
FROM ${APPLICATION} AS application
USER root

# What supervises and observes has a virtual environment of its own; the packages that the workers
# import are in lib.
FROM application AS bascule
RUN python3 -c 'import ensurepip' 2>/dev/null \
    || { apt-get update && apt-get install --yes --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/* /var/cache/apt/*; }
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
@COPY_WHEEL@
RUN python3 -m venv /opt/bascule/ops \
    && /opt/bascule/ops/bin/pip install --no-cache-dir @BASCULE@ \
    && /opt/bascule/ops/bin/pip install --no-cache-dir --no-deps --target /opt/bascule/lib @BASCULE@
@NGINX_FILES@

FROM application AS server
COPY --from=bascule /opt/bascule /opt/bascule
RUN echo /opt/bascule/lib >"$(python3 -c 'import site; print(site.getsitepackages()[0])')/bascule.pth"
# Into your image's working directory, where the workers run.
COPY chain.toml ./
@STATIC@
@DATA@
@SERVER@

@NGINX@
