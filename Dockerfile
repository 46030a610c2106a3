# Training, prediction, export and the local server in one image, on a CPU or (with nvidia-container-toolkit) on GPUs:
#   docker build -t kerasft .                                          # --build-arg EXTRAS=serve for a CPU alone
#   docker run --rm --user "$(id -u):$(id -g)" -e HOME=/work/.home -v "$PWD:/work" kerasft train my.yaml
#   docker run --rm -p 8501:8501 -p 8500:8500 -v "$PWD/saved_models:/work/saved_models:ro" kerasft serve saved_models/NAME --host 0.0.0.0
FROM python:3.12-slim-bookworm
ARG EXTRAS=serve
# The compiler is for kerasft's kernels, which are compiled at first use.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY setup.cfg pyproject.toml README.md LICENSE /src/
COPY requirements /src/requirements
COPY kerasft /src/kerasft
RUN pip install --no-cache-dir --constraint /src/requirements/py312.txt "/src[${EXTRAS}]" && rm -rf /src
WORKDIR /work
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["kerasft"]
CMD ["--help"]
