# syntax=docker/dockerfile:1
FROM python:3.12-slim-trixie AS build

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY perdure ./perdure
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/perdure && /opt/perdure/bin/pip install --disable-pip-version-check .


FROM python:3.12-slim-trixie

RUN useradd --system --uid 10001 --home-dir /var/lib/perdure --create-home perdure \
    && install --directory --owner perdure --group perdure --mode 0700 /var/lib/perdure /srv/files
COPY --from=build /opt/perdure /opt/perdure

ENV PATH=/opt/perdure/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PERDURE_HOME=/var/lib/perdure \
    PERDURE_FILE_ROOT=/srv/files

USER perdure
WORKDIR /srv/files
STOPSIGNAL SIGTERM
ENTRYPOINT ["perdure"]
CMD ["worker"]
