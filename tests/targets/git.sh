# SPDX-License-Identifier: MIT
# A workload for git: a repository with branches, merges, a conflict, tags,
# packs and a clone.  All children are the same git.
# bash git.sh DIRECTORY [TIMES]
# Run it with steady.so preloaded.  SHORT=1 leaves out the second half.
set -e
rm -rf "$1/work"
mkdir -p "$1/work/bin"
cd "$1/work"
times=${2:-1}
# git runs some of its commands as "git X" from here.
ln -sf "$(command -v git)" bin/git
export GIT_EXEC_PATH=$PWD/bin HOME=$PWD GIT_CONFIG_NOSYSTEM=1 LC_ALL=C
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
export GIT_PAGER=cat GIT_MERGE_AUTOEDIT=no PAGER=cat TZ=UTC
now=1700000000
commit() {
	now=$((now + 3600))
	GIT_AUTHOR_DATE="$now +0100" GIT_COMMITTER_DATE="$now +0000" \
		git commit -q "$@"
}

# One thread, and no background work: the counts must not depend on the
# scheduler.  (For the same reason what reads a pipe reads to its end below: head
# would kill git in the middle of its work.)
cat >.gitconfig <<'EOF'
[init]
	defaultBranch = main
[pack]
	threads = 1
[grep]
	threads = 1
[index]
	threads = 1
[core]
	preloadIndex = false
	trustctime = false
	checkStat = minimal
[gc]
	auto = 0
[maintenance]
	auto = false
[advice]
	detachedHead = false
EOF

git init -q repo
cd repo
for i in $(seq 1 $((2 + 3 * times))); do
	for f in a b; do
		mkdir -p "dir$((i % 3))"
		seq "$i" 3 $((i + 60)) >"dir$((i % 3))/$f$((i % 7)).txt"
	done
	echo "line $i" >>log.txt
	git add -A
	commit -m "change $i

	with a body of several words, number $i"
done
git checkout -q -b topic HEAD~2
echo "topic" >>dir1/a1.txt
echo "topic" >topic.txt
git add -A
commit -m "topic"
git checkout -q main
now=$((now + 10))
GIT_COMMITTER_DATE="$now +0000" GIT_AUTHOR_DATE="$now +0000" \
	git merge -q --no-ff -m "merge topic" topic
git checkout -q -b clash HEAD~2
echo "clash" >log.txt
commit -a -m "clash"
git checkout -q main
git merge clash || git diff --name-only --diff-filter=U
git merge --abort
GIT_COMMITTER_DATE="$now +0000" git tag -a -m "first" v1
git log --oneline --graph --decorate --all | sed -n 1,50p
git log --stat -3
git log -p -2 --word-diff
git log --format='%h %an %ad %s' --date=iso -- log.txt
git diff HEAD~3 --stat -M -C
git diff HEAD~2 HEAD --patience -- dir0
git blame -s log.txt
git grep -n 'line 1'
git shortlog -s -n HEAD
git status --short --branch
git show --stat v1
git rev-list --count --all
git ls-tree -r HEAD | sed -n 1,5p
git cat-file -p HEAD^{tree}
git for-each-ref
git stash list
echo dirty >>log.txt
git diff
GIT_COMMITTER_DATE="$now +0000" GIT_AUTHOR_DATE="$now +0000" git stash -q
git stash drop -q
git describe --tags
git archive --format=tar HEAD | git hash-object --stdin
git rev-parse HEAD HEAD^{tree} main@{0}
[ -z "${SHORT-}" ] || exit 0
git repack -q -a -d
git count-objects -v | grep -v size
cd ..
git clone -q --no-hardlinks ./repo copy 2>&1
git -C copy log --oneline | sed -n 1,3p
cd copy
git checkout -q -b moved main~2
echo moved >moved.txt
git add -A
commit -m moved
GIT_COMMITTER_DATE="$now +0000" git rebase -q main
git log --oneline | sed -n 1,2p
git range-diff moved~1..moved main~2..main
git format-patch -1 --stdout >../patch
git apply --stat ../patch
git reset -q --hard HEAD~1
GIT_COMMITTER_DATE="$now +0000" git am -q ../patch
git rev-list --bisect HEAD~3..HEAD
git bundle create -q ../all.bundle --all
git bundle verify -q ../all.bundle 2>&1
git fsck --no-progress
cd ..
git init -q third
cd third
git fetch -q ../all.bundle main:fetched
git pull -q ../copy main
git log --oneline | sed -n 1,2p
