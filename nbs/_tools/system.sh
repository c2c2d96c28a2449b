#!/usr/bin/env bash
# system.sh opencv PYTHON | chromium: the two things pip cannot bring. Through apt as root, else named.
set -u
what=$1
case $what in
  opencv)   packages="libgl1 libglib2.0-0"; present() { "$PYTHON" -c "import cv2" 2>/dev/null; }; PYTHON=$2 ;;
  chromium) packages="chromium"; present() { command -v chromium chromium-browser google-chrome >/dev/null; } ;;
  *) echo "system.sh: opencv PYTHON or chromium, not '$what'" >&2; exit 2 ;;
esac
present && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing $packages through apt"
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $packages >/dev/null
  present && exit 0
fi
echo "$what needs system packages that are missing; run: sudo apt-get update && sudo apt-get install -y $packages" >&2
exit 1
