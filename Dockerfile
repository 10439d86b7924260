# One image for all of k40s's processes: `python -m extender`, `python -m daemons.rubicante`, ...
# Needs nothing but the base image and a Python package index that pip is configured for.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
# Exactly what is locked, so that a release of tomorrow changes nothing, and checked to be complete.
# Wheels only: there is no compiler, here or in the image that ships. The copies of pip and
# setuptools that come with a new environment are left behind.
RUN python3 -m venv --without-pip /opt/k40s
COPY requirements-runtime.lock /tmp/
RUN python3 -m venv /tmp/installer \
    && /tmp/installer/bin/pip --disable-pip-version-check --python /opt/k40s/bin/python3 install --quiet \
       --no-cache-dir --only-binary :all: --no-deps --require-hashes -r /tmp/requirements-runtime.lock \
    && /tmp/installer/bin/pip --disable-pip-version-check --python /opt/k40s/bin/python3 check
# A base without the C++ library that wheels link against is found out here, not on a node.
RUN /opt/k40s/bin/python3 -c "import cryptography, kubernetes, numpy, psutil"
COPY k40s /build/k40s
COPY extender /build/extender
COPY controller /build/controller
COPY webhook /build/webhook
COPY insight /build/insight
COPY daemons /build/daemons
RUN /opt/k40s/bin/python3 -m compileall -q -s /build -p /opt/k40s/app /build

FROM ${PYTHON_IMAGE}
# Two layers: the packages change seldom and are large, our own code changes often and is small.
COPY --from=build /opt/k40s /opt/k40s
COPY --from=build /build /opt/k40s/app
ENV PATH=/opt/k40s/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/k40s/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1
WORKDIR /opt/k40s/app
# A numeric user, so that runAsNonRoot can be checked. Rubicante alone is run as root, by its manifest.
USER 65532:65532
