# @MARK@
# Two targets: nginx, and server. compose.yaml builds both, and dev where it is asked for.

# Any image with Python 3.11 or newer, or with Debian's packages.
ARG BASE_IMAGE=debian:trixie-slim
FROM ${BASE_IMAGE} AS python
USER root
RUN command -v python3 >/dev/null \
    || { apt-get update && apt-get install --yes --no-install-recommends python3 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*; }

# What packages are built with stays behind in these stages.
FROM python AS pip
# Packages of Debian that your requirements are built with go here.
RUN python3 -c 'import ensurepip' 2>/dev/null \
    || { apt-get update && apt-get install --yes --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/* /var/cache/apt/*; }
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL

# What supervises and observes has a virtual environment of its own.
FROM pip AS bascule
@COPY_WHEEL@
RUN python3 -m venv /opt/bascule/ops && /opt/bascule/ops/bin/pip install --no-cache-dir @BASCULE@
@NGINX_FILES@

FROM pip AS packages
@COPY_WHEEL@
RUN python3 -m venv /opt/bascule/venv && /opt/bascule/venv/bin/pip install --no-cache-dir --no-deps @BASCULE@
WORKDIR /srv
@REQUIREMENTS@

FROM python AS project
COPY --from=packages /opt/bascule/venv /opt/bascule/venv
ENV PATH=/opt/bascule/venv/bin:$PATH
WORKDIR /srv
COPY . .
@INSTALL@
@STATIC@
# The root file system is read-only when it runs: byte code is written now, as far as it is Python.
RUN python3 -m compileall -q . || true
# The application runs as another user than the one whose files these are.
RUN chmod -R a+rX .

@DEV@

FROM python AS server
COPY --from=bascule /opt/bascule/ops /opt/bascule/ops
COPY --from=@VENV_FROM@ /opt/bascule/venv /opt/bascule/venv
@COPY_STATIC@
COPY --from=project /srv /srv
WORKDIR /srv
ENV PATH=/opt/bascule/venv/bin:$PATH
@DATA@
@SERVER@

@NGINX@
