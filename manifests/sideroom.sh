#!/bin/sh
# The sideroom command with the service's settings, as the service's user. As root: install manifests/sideroom.sh /usr/local/bin/sideroom
set -a
. /etc/sideroom.env
cd /opt/sideroom && exec runuser -u sideroom -- .venv/bin/sideroom "$@"
