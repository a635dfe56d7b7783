# Stands in for Docker's own image of PostgreSQL where that cannot be pulled: Debian's packages, and the parts of the entry point that we use.
FROM scratch
ADD root.tar /
ENV PATH=/usr/lib/postgresql/15/bin:$PATH
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
COPY postgres-entrypoint.sh /usr/local/bin/
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["postgres-entrypoint.sh"]
CMD ["postgres", "-c", "listen_addresses=*"]
