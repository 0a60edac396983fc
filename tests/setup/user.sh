#!/bin/sh
# Prints the ordinary user that tests run programs as: oneself, or, for root, a user made for the purpose. A session's
# compositor refuses to run as root, and Postern is for ordinary users.
set -eu
if [ "$(id -u)" != 0 ]; then
    id -un
    exit 0
fi
user=postern-test
id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
echo "$user"
