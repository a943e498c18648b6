# Shared by the scripts in this folder; source it from the root of the repository.
# shellcheck shell=bash
set -euo pipefail

GO=${GO:-go}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/realmgate
GOLANGCI_LINT_VERSION=v2.15.0
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
OURS=github.com/realmgate/realmgate

say() { printf '==> %s\n' "$*"; }

# missing REASON: a step that cannot run here is left out with its reason, and fails where CI=true.
missing() {
  if [ "${CI:-}" = true ]; then
    echo "error: $*" >&2
    exit 1
  fi
  say "left out: $*"
}

# all_modules: the folders of all modules, from their go.mod files.
all_modules() { find . -name go.mod -not -path '*/node_modules/*' -exec dirname {} \; | sort; }

# work_modules: those of them that are in the workspace.
work_modules() { "$GO" list -m -f '{{.Dir}}' | sed "s|^$PWD\$|.|; s|^$PWD/|./|" | sort; }

# lone_modules: those that are not.
lone_modules() { comm -23 <(all_modules) <(work_modules); }

# golangci_lint: the path of the pinned linter, built on first use.
golangci_lint() {
  local dir=$CACHE/tools/golangci-lint-$GOLANGCI_LINT_VERSION
  if [ ! -x "$dir/golangci-lint" ]; then
    say "building golangci-lint $GOLANGCI_LINT_VERSION (a minute or two, once)" >&2
    GOWORK=off GOFLAGS='' GOBIN=$dir "$GO" install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$GOLANGCI_LINT_VERSION" >&2 ||
      return 1
  fi
  echo "$dir/golangci-lint"
}

# minio: the path of the pinned MinIO server, built on first use.
minio() {
  local dir=$CACHE/tools/minio-$MINIO_VERSION work
  if [ ! -x "$dir/minio" ]; then
    say "building MinIO $MINIO_VERSION (some minutes, once)" >&2
    mkdir -p "$CACHE/tools" && work=$(mktemp -d "$CACHE/tools/build-XXXXXX") || return 1
    if ! { GOWORK=off GOFLAGS=-trimpath CGO_ENABLED=0 GOBIN=$work "$GO" install -ldflags '-s -w' "github.com/minio/minio@$MINIO_VERSION" >&2 &&
      rm -rf "$dir" && mv "$work" "$dir"; }; then
      rm -rf "$work"
      return 1
    fi
  fi
  echo "$dir/minio"
}

# buf: the path of the pinned buf, installed by npm on first use; empty where npm is missing. Not `npm ci`: the lock file
# has the hashes of the platforms on which this runs, and the packages of others are optional.
buf() {
  command -v npm >/dev/null || return 0
  local dir work
  dir=$CACHE/tools/npm-$(cksum <tools/package-lock.json | tr ' ' -)
  if [ ! -x "$dir/node_modules/.bin/buf" ]; then
    say 'installing buf' >&2
    mkdir -p "$CACHE/tools" && work=$(mktemp -d "$CACHE/tools/install-XXXXXX") || return 1
    if ! { cp tools/package.json tools/package-lock.json "$work/" &&
      (cd "$work" && npm install --no-save --ignore-scripts --no-audit --no-fund >&2) &&
      rm -rf "$dir" && mv "$work" "$dir"; }; then
      rm -rf "$work"
      return 1
    fi
  fi
  echo "$dir/node_modules/.bin/buf"
}

# vault: the path of the Vault server that internal/vaulttest/server pins, built on first use. It is for tests alone: nothing
# of it is linked into a binary of ours, and it is no module of the tree. What is half built is removed, also after an interrupt.
vault() {
  local pins=internal/vaulttest/server name dir
  name=$(cat $pins/go.mod.pinned $pins/go.sum.pinned | git hash-object --stdin) || return 1 # as internal/vaulttest names it
  dir=$CACHE/tools/vault-${name:0:16}
  if [ ! -x "$dir/vault" ]; then
    command -v "$GO" >/dev/null || {
      echo "error: the Vault server cannot be built: there is no $GO on PATH" >&2
      return 1
    }
    say 'building the Vault server: ten minutes of work for one processor and 3 GB of modules, once' >&2
    (
      mkdir -p "$CACHE/tools" && work=$(mktemp -d "$CACHE/tools/install-XXXXXX") || exit 1
      trap 'rm -rf "$work"' EXIT
      cp $pins/go.mod.pinned "$work/go.mod" && cp $pins/go.sum.pinned "$work/go.sum" &&
        (cd "$work" && GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0 "$GO" build -trimpath -ldflags '-s -w' -o vault github.com/hashicorp/vault >&2) &&
        "$work/vault" version >&2 && rm -rf "$dir" && mv "$work" "$dir"
    ) || {
      echo "error: the Vault server is not built; what the go command says above is why. Without it the tests of test/vault are skipped, and fail where CI=true" >&2
      return 1
    }
  fi
  echo "$dir/vault"
}

# needs_ours DIR: whether the module there requires another one of ours.
needs_ours() { grep -Eq "^(require)?[[:space:]]+$OURS[/ ]" "$1/go.mod"; }

# fill_proxy: puts our modules, as they are in the working tree, into a module proxy of files. Their copies in a module
# cache would outlive the tree's state, so the cache for them is one of its own and they are dropped from it.
fill_proxy() {
  rm -rf "$CACHE/proxy" "$CACHE/modules/$OURS" "$CACHE/modules/$OURS@"* "$CACHE/modules/cache/download/$OURS"
  GOWORK=off "$GO" -C tools run ./modproxy -o "$CACHE/proxy" ..
}

# use_proxy [DIR]: from here on the go command works without the workspace and takes our modules from the proxy, others from the
# user's cache or from where they come from. The go command's index of a module would outlive it too and is turned off.
use_proxy() {
  GOPROXY="file://${1:-$CACHE/proxy},file://$("$GO" env GOMODCACHE)/cache/download,$("$GO" env GOPROXY)"
  export GOPROXY GOMODCACHE=$CACHE/modules GONOSUMDB=$OURS GODEBUG=goindex=0
  export GOWORK=off GOFLAGS="-mod=mod -modcacherw -trimpath"
}

# copy_tree DIR: the files that git knows or would add, as they are on disk.
copy_tree() {
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
    [ ! -f "$f" ] || printf '%s\0' "$f"
  done | tar -c --null -T - -f - | tar -x -C "$1" -f -
}

# without_ours: a go.sum without the hashes of our own modules, which change with every commit.
without_ours() { grep -v "^$OURS" "$1" || true; }
