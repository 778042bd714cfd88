# The server with its bundled models:
#   docker build -t platemark .
#   docker run -p 8000:8000 -v platemark:/data platemark
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/platemark \
    && /opt/platemark/bin/pip install --no-cache-dir --constraint constraints.txt \
       '.[serve,heif,index,postgres]'

FROM python:3.13-slim
# Fonts for texts on pictures in any script.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --home-dir /data --create-home platemark
COPY --from=build /opt/platemark /opt/platemark
ENV PATH=/opt/platemark/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PLATEMARK_HOST=0.0.0.0 \
    PLATEMARK_PORT=8000 \
    PLATEMARK_REGISTRY=/data/stamps.db
USER platemark
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# Requests in flight are finished on SIGTERM: give the container the time that the settings give them.
STOPSIGNAL SIGTERM
CMD ["platemark", "serve"]
