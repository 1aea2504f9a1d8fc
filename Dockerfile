# Gridward in one image: API, worker and migration are the same image with another command. PostGIS runs in its own
# container (docker-compose.yml). Nothing is fetched when a container starts.

# -- the Python packages, hash-pinned ----------------------------------------------------------------------------------
FROM python:3.11-slim-bookworm AS packages
COPY requirements.lock /build/
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps \
        -r /build/requirements.lock

# -- the browser libraries; Node stays behind in this stage ------------------------------------------------------------
FROM python:3.11-slim-bookworm AS browser
WORKDIR /build
COPY requirements-node.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r requirements-node.lock
COPY package.json package-lock.json .npmrc ./
COPY maps/__init__.py maps/vendor.py maps/vendor.json maps/
RUN python -m maps.vendor

# -- what runs ---------------------------------------------------------------------------------------------------------
FROM python:3.11-slim-bookworm
RUN useradd --system --uid 8311 --home-dir /app --shell /usr/sbin/nologin gridward
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY pyproject.toml LICENSE ./
COPY alembic alembic
COPY geo geo
COPY dispatch dispatch
COPY maps maps
COPY api api
COPY --from=browser /build/maps/static/vendor maps/static/vendor
# The code belongs to root and the service cannot change it; byte code is written here because it cannot later.
RUN PYTHONPATH=/app /opt/venv/bin/python -m compileall -q api dispatch geo maps
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 GRIDWARD_HOST=0.0.0.0 GRIDWARD_LOG_FORMAT=json
USER gridward
EXPOSE 8311
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8311/readyz', timeout=4)"]
ENTRYPOINT ["python", "-P", "-m", "api.cli"]
CMD ["serve"]
