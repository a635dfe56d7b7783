# Stands in for Docker's own base image of Python where that cannot be pulled: Debian's system with Debian's Python.
FROM scratch
ADD root.tar /
# as in Docker's own image of Debian, for small layers
RUN printf 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\nAPT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\nDPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\n' \
    >/etc/apt/apt.conf.d/docker-clean && rm -f /var/cache/apt/*.bin
RUN apt-get update && apt-get install --yes --no-install-recommends python3.11-venv && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/bin/python3.11 /usr/local/bin/python
CMD ["python"]
