# Serves the demo, or KPI_PROJECT, as a user without rights. docs/operations.md, section *Container*.
FROM python:3.11.14-slim-bookworm

WORKDIR /app
COPY requirements-runtime.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements-runtime.lock

COPY . .
RUN python -m compileall -q . \
 && useradd --uid 10001 --home-dir /data --no-create-home kpi \
 && install -d -o kpi -g kpi /data

ENV PATH=/app/container:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 KPI_PROJECT=/data/demo
USER 10001:10001
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=2m CMD ["healthy"]
CMD ["serve"]
