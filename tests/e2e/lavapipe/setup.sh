#!/usr/bin/env bash
# Makes DIR/chromium, a copy of the system's Chromium whose WebGPU runs on Mesa's lavapipe instead of SwiftShader.
# Usage: setup.sh DIR. Writes DIR/env (NAME=VALUE lines): the environment to start TERN_CHROMIUM with, and the flags
# --use-webgpu-adapter=swiftshader --enable-unsafe-webgpu make it the adapter.
#
# Debian 12's own Mesa is too old (no f16, no subgroups), so there a newer one is unpacked from its backports into DIR,
# away from the system's. Everywhere else the installed Mesa is used.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(realpath -m "$1")
system=${TERN_CHROMIUM_DIR:-/usr/lib/chromium}
arch=$(cc -dumpmachine)
mkdir -p "$dir/chromium"
[ -x "$system/chromium" ] || { echo "no Chromium in $system" >&2; exit 1; }

unpack_backports() {
  command -v apt-get >/dev/null || { echo "no apt-get to get a newer Mesa with" >&2; return 1; }
  mkdir -p "$dir"/{debs,lists/partial,root}
  # The mirror that this machine already uses, whatever it is.
  local uri
  uri=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | sort | uniq -c | sort -rn | awk 'NR==1{print $2}')
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm-backports main" >"$dir/sources.list"
  local opts=(-o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$dir/lists"
    -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
  mkdir -p "$dir/cache/archives/partial"
  apt-get "${opts[@]}" update -qq
  local suite=bookworm-backports
  (cd "$dir/debs" && apt-get "${opts[@]}" download -qq "mesa-vulkan-drivers/$suite" "libdrm2/$suite" "libdrm-amdgpu1/$suite")
  for deb in "$dir"/debs/*.deb; do dpkg -x "$deb" "$dir/root"; done
}

codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
if [ "$codename" = bookworm ]; then
  unpack_backports
  lib="$dir/root/usr/lib/$arch"
  driver="$lib/libvulkan_lvp.so"
else
  lib=""
  driver=$(find /usr/lib /usr/lib64 -name 'libvulkan_lvp.so' -print -quit 2>/dev/null)
  [ -n "$driver" ] || { echo "Mesa's lavapipe (libvulkan_lvp.so) is not installed" >&2; exit 1; }
fi

missing=$(LD_LIBRARY_PATH=$lib ldd "$driver" | awk '/not found/{print $1}')
if [ -n "$missing" ]; then
  echo "lavapipe lacks: $missing (install the packages that hold them, e.g. libllvm15 libz3-4)" >&2
  exit 1
fi

cc -O1 -shared -fPIC -DLVP_LIB="\"$driver\"" -o "$dir/shim.so" "$here/shim.c" -ldl
echo "{\"file_format_version\":\"1.0.0\",\"ICD\":{\"library_path\":\"$dir/shim.so\",\"api_version\":\"1.3.0\"}}" >"$dir/shim.json"

# Chromium looks for SwiftShader beside its own program file, and takes the loader's driver only if there is none.
# The program must be a real file here, since it finds its folder by its own path; all else may be links.
for file in "$system"/*; do
  case $(basename "$file") in
    *swiftshader*) ;;
    chromium) rm -f "$dir/chromium/chromium"; ln "$file" "$dir/chromium/" 2>/dev/null || cp "$file" "$dir/chromium/" ;;
    *) ln -sfn "$file" "$dir/chromium/" ;;
  esac
done

cat >"$dir/env" <<END
VK_DRIVER_FILES=$dir/shim.json
VK_ICD_FILENAMES=$dir/shim.json
LD_LIBRARY_PATH=$lib
TERN_CHROMIUM=$dir/chromium/chromium
END
