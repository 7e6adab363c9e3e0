# uq-harness for CPUs; docs/container.md says how to build it for GPUs.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

ARG TORCH_VERSION=2.13.0
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=api

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

RUN pip install --no-cache-dir --index-url "${TORCH_INDEX}" "torch==${TORCH_VERSION}"

COPY . /src
RUN pip install --no-cache-dir "/src[${EXTRAS}]" \
    && useradd --create-home --uid 1000 --user-group reader \
    && install --directory --owner reader --group reader /results

USER 1000:1000
ENV HF_HOME=/home/reader/.cache/huggingface
WORKDIR /results
CMD ["uq-harness", "--help"]
