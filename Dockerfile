# For `serve` and `annotate` on a machine without a screen. Untried: no container has been built of it. hadolint has checked it.
#     docker build -t live-gradcam .
#     docker run --rm -v "$PWD:/work" live-gradcam annotate talk.mp4 -o talk-explained.mp4
#     docker run --rm -p 8000:8000 live-gradcam serve --host 0.0.0.0
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/live-gradcam \
    && /opt/live-gradcam/bin/pip install --no-cache-dir -c constraints.txt '.[serve]'

FROM python:3.12-slim
# What OpenCV's wheel loads, though no window is opened. Versions are not pinned: Debian keeps only the newest of each.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 person
COPY --from=build /opt/live-gradcam /opt/live-gradcam
ENV PATH=/opt/live-gradcam/bin:$PATH
USER 1000
WORKDIR /work
ENTRYPOINT ["live-gradcam"]
CMD ["--help"]
