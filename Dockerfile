# The demo study in a container, see docs/container.md.
# The versions of constraints.txt were tested with Python 3.11.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
# Extras of pyproject.toml, separated by commas: gpu, export, jax, torch, cluster, bench.
ARG EXTRAS=

# What OpenCV loads and slim images lack.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/*

ENV PATH=/opt/harlib/bin:$PATH
WORKDIR /src
COPY . .
RUN python3 -m venv /opt/harlib \
 && pip install --no-cache-dir -c constraints.txt ".${EXTRAS:+[$EXTRAS]}"

# HOME: any user that --user names may write there.
ENV HOME=/tmp
RUN useradd --uid 1000 --home-dir /work --create-home har
USER 1000
WORKDIR /work
CMD ["har", "study", "demo"]
