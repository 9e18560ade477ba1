/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry is a folder of symbolic links, because making a link is atomic, exclusive and needs
 * no second step: its target is its whole content, "FOLDER:ID" (state folder, identity of the state
 * in hexadecimal), so there is no moment in which an entry exists without its holder. Blocks of
 * different sizes overlap under different names; therefore a claim lists the names, under a lock of
 * the folder.
 *
 * An entry is made before the claim is recorded in the state. When the process is killed in
 * between, the entry names our state and our state does not know the block: whoever comes next just
 * uses it. An entry of an earlier state in our folder, or of a folder without a state of this boot,
 * is of a lost state: its block's pods may live on, so the block is recorded as quarantined first,
 * and only then the entry is rewritten; a kill in between changes nothing that matters.
 *
 * The folder's name has the boot id and the cookie of our network namespace: the same pool in
 * another namespace (another node on the same machine) is no conflict.
 *
 * Only "there is no such file" means no. Any other error of a question about an owner is -EAGAIN
 * with the file and the reason: an answer that was taken for "free" would give an address twice,
 * and -ENOENT and -EBUSY are answers here.
 */
#include "ipam/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/mem.h"
#include "lib/ns.h"
#include "lib/text.h"

#define TARGET (PATH_MAX + 32)
#define ATTEMPTS 100

static int folder_path(const struct registry_self *self, char out[PATH_MAX], struct err *e)
{
	uint64_t cookie;
	if (ns_get_cookie(&cookie, e) < 0) {
		err_add(e, "which folder of %s is ours is not known", self->root);
		return -EAGAIN;
	}
	struct text t = {.buf = out, .size = PATH_MAX};
	text_add(&t, "%s/%s-%" PRIu64, self->root, self->boot, cookie);
	return 0;
}

void registry_name_format(const struct cidr *block, char out[CIDR_TEXT])
{
	cidr_format(block, out);
	*strchr(out, '/') = '-';
}

bool registry_name_parse(const char *name, struct cidr *out)
{
	char text[CIDR_TEXT];
	struct err e;
	char *dash = text_copy(text, sizeof(text), name) ? strrchr(text, '-') : NULL;
	if (!dash)
		return false;
	*dash = '/';
	return cidr_parse(text, out, &e) == 0 && !cidr_has_host_bits(out);
}

static void own_target(const struct registry_self *self, char out[TARGET])
{
	struct text t = {.buf = out, .size = TARGET};
	text_add(&t, "%s:%" PRIx64, self->dir, self->id);
}

/* Folders of other boots say nothing about this one. Best effort. */
static void remove_others(const struct registry_self *self)
{
	DIR *root = opendir(self->root);
	if (!root)
		return;
	for (struct dirent *d; (d = readdir(root));) {
		if (d->d_name[0] == '.' || strncmp(d->d_name, self->boot, strlen(self->boot)) == 0)
			continue;
		int fd = openat(
			dirfd(root), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		DIR *old = fd < 0 ? NULL : fdopendir(fd);
		for (struct dirent *f; old && (f = readdir(old));)
			if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
				(void)unlinkat(dirfd(old), f->d_name, 0);
		if (old)
			(void)closedir(old);
		(void)unlinkat(dirfd(root), d->d_name, AT_REMOVEDIR);
	}
	(void)closedir(root);
}

/* What the registry is, for who never heard of it. Returns error. */
static int explained(struct err *e, int error)
{
	err_details(e, "the block registry says which state folder of this host holds a block; "
		       "no block is claimed while it cannot be used");
	return error;
}

/* The registry's folder. -ENOENT when there is none and it is not to be made. */
static int open_folder(const struct registry_self *self, bool make, struct err *e)
{
	char path[PATH_MAX];
	int r = folder_path(self, path, e);
	if (r < 0)
		return r;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && make) {
		r = file_make_dir(path, 0700, e);
		if (r < 0)
			return r;
		remove_others(self);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0)
		return explained(
			e, err_set(e, errno == ENOENT ? ENOENT : EAGAIN,
				   "cannot open the block registry %s: %s", path, strerror(errno)));
	return fd;
}

static int lock_folder(const struct registry_self *self, int fd, struct err *e)
{
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return explained(
				e, err_set(e, errno, "cannot lock the block registry %s: %s",
					   self->root, strerror(errno)));
	return 0;
}

/* The folder, locked; not one that was removed (being empty) while we waited for it. */
static int open_locked(const struct registry_self *self, bool make, struct err *e)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		int fd = open_folder(self, make, e);
		int r = fd < 0 ? fd : lock_folder(self, fd, e);
		struct stat st;
		if (r == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
			return fd;
		if (fd >= 0)
			(void)close(fd);
		if (r < 0)
			return r;
	}
	return explained(
		e, err_set(e, EAGAIN,
			   "cannot lock the block registry %s: it is removed again and again",
			   self->root));
}

/* Whether a folder has a state file of this boot: 1, 0 or an error. */
static int has_state(const struct registry_self *self, const char *dir, struct err *e)
{
	char state[TARGET + 64];
	(void)snprintf(state, sizeof(state), "%s/node-%s.mdb", dir, self->boot);
	if (access(state, F_OK) == 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	return explained(e,
		err_set(e, EAGAIN,
			"cannot look at %.200s, whose folder the block registry %.100s names: %s",
			state, self->root, strerror(errno)));
}

/* Who holds the entry of this name (an enum registry_holder) or an error; dir (TARGET bytes) gets
 * the holder's folder. */
static int read_entry(
	const struct registry_self *self, int fd, const char *name, char dir[TARGET], struct err *e)
{
	char own[TARGET];
	own_target(self, own);
	ssize_t len = readlinkat(fd, name, dir, TARGET - 1);
	if (len < 0 && errno == ENOENT)
		return REGISTRY_FREE;
	if (len < 0)
		return explained(e,
			err_set(e, EAGAIN, "cannot read entry %.100s of the block registry %s: %s",
				name, self->root, strerror(errno)));
	dir[len] = '\0';
	if (strcmp(dir, own) == 0)
		return REGISTRY_OURS;
	char *colon = strrchr(dir, ':');
	if (colon)
		*colon = '\0';
	if (strcmp(dir, self->dir) == 0)
		return REGISTRY_LOST;
	int r = has_state(self, dir, e);
	return r < 0 ? r : (int)(r ? REGISTRY_OTHER : REGISTRY_LOST);
}

static int err_list(const struct registry_self *self, int error, struct err *e)
{
	return explained(e, err_set(e, EAGAIN, "cannot list the block registry %s: %s", self->root,
				    strerror(error)));
}

/* The next entry that names a block: 1, 0 at the end, or an error. */
static int next_entry(const struct registry_self *self, DIR *d, struct cidr *block,
	const char **name, struct err *e)
{
	struct dirent *f;
	while (errno = 0, (f = readdir(d))) {
		*name = f->d_name;
		if (registry_name_parse(f->d_name, block))
			return 1;
	}
	if (errno == 0)
		return 0;
	(void)err_list(self, errno, e);
	return -EAGAIN;
}

/* A second, rewound descriptor: the caller's stays as it is. */
static DIR *open_listing(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		int error = errno;
		mem_cleanup_fd(&copy);
		errno = error;
		return NULL;
	}
	rewinddir(d);
	return d;
}

/* The names that overlap a block; the one that matters most decides. */
static int find_holder(const struct registry_self *self, int fd, const struct cidr *block,
	enum registry_holder *out, char dir[TARGET], struct err *e)
{
	char own[CIDR_TEXT];
	registry_name_format(block, own);
	*out = REGISTRY_FREE;
	DIR *d = open_listing(fd);
	if (!d)
		return err_list(self, errno, e);
	struct cidr there;
	const char *name = NULL;
	int r;
	while ((r = next_entry(self, d, &there, &name, e)) > 0) {
		if (!cidr_overlaps(&there, block))
			continue;
		char holder_dir[TARGET];
		int holder = read_entry(self, fd, name, holder_dir, e);
		if (holder < 0) {
			r = holder;
			break;
		}
		/* Of another size and ours, but our state has no such block: a killed claim
		 * made with other block sizes. It holds nothing. */
		if (holder == REGISTRY_OURS && strcmp(name, own) != 0)
			continue;
		if (holder > (int)*out) {
			*out = (enum registry_holder)holder;
			(void)text_copy(dir, TARGET, holder_dir);
		}
	}
	(void)closedir(d);
	return r;
}

static int refuse_claim(
	const struct cidr *block, const struct cidr *pool, const char *dir, struct err *e)
{
	char block_text[CIDR_TEXT];
	char pool_text[CIDR_TEXT];
	cidr_format(block, block_text);
	if (!pool)
		return err_set(e, EBUSY,
			"block %s is held by another state folder of this host: %.200s", block_text,
			dir);
	cidr_format(pool, pool_text);
	int r = err_set(e, EBUSY,
		"pool %s is in use by another state folder of this host: %.200s holds block %s",
		pool_text, dir, block_text);
	err_details(e,
		"use one state folder for the pool, or give it back there: roostctl --state-dir "
		"%.200s ipam release --idle-blocks",
		dir);
	return r;
}

/* Who holds a block that is to be ours: an enum registry_holder, or -EBUSY when a living state
 * does. */
static int find_claimable(const struct registry_self *self, int fd, const struct cidr *block,
	const struct cidr *pool, struct err *e)
{
	enum registry_holder holder;
	char dir[TARGET];
	int r = find_holder(self, fd, block, &holder, dir, e);
	if (r < 0)
		return r;
	return holder == REGISTRY_OTHER ? refuse_claim(block, pool, dir, e) : (int)holder;
}

int registry_claim(const struct registry_self *self, const struct cidr *block,
	const struct cidr *pool, struct err *e)
{
	CLEANUP_FD int fd = open_locked(self, true, e);
	if (fd < 0)
		return fd;
	int holder = find_claimable(self, fd, block, pool, e);
	if (holder != REGISTRY_FREE)
		return holder;
	char name[CIDR_TEXT];
	char target[TARGET];
	registry_name_format(block, name);
	own_target(self, target);
	if (symlinkat(target, fd, name) < 0)
		return explained(
			e, err_set(e, errno, "cannot enter block %s into the block registry %s: %s",
				   name, self->root, strerror(errno)));
	return REGISTRY_OURS;
}

int registry_check(const struct registry_self *self, const struct cidr *block,
	const struct cidr *pool, struct err *e)
{
	CLEANUP_FD int fd = open_folder(self, false, e);
	if (fd < 0)
		return fd == -ENOENT ? (int)REGISTRY_OURS : fd;
	int holder = find_claimable(self, fd, block, pool, e);
	return holder < 0 || holder == REGISTRY_LOST ? holder : (int)REGISTRY_OURS;
}

int registry_take(const struct registry_self *self, const struct cidr *block, struct err *e)
{
	CLEANUP_FD int fd = open_locked(self, true, e);
	if (fd < 0)
		return fd;
	char name[CIDR_TEXT];
	char dir[TARGET];
	char target[TARGET];
	registry_name_format(block, name);
	own_target(self, target);
	int holder = read_entry(self, fd, name, dir, e);
	if (holder < 0 || holder == REGISTRY_OTHER)
		return holder < 0 ? holder : 0;
	(void)unlinkat(fd, ".new", 0);
	if (symlinkat(target, fd, ".new") < 0 || renameat(fd, ".new", fd, name) < 0)
		return explained(e,
			err_set(e, errno, "cannot take over block %s in the block registry %s: %s",
				name, self->root, strerror(errno)));
	return 0;
}

int registry_drop(
	const struct registry_self *self, const struct cidr *blocks, size_t n, struct err *e)
{
	CLEANUP_FD int fd = open_locked(self, false, e);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	char path[PATH_MAX];
	int r = folder_path(self, path, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		char name[CIDR_TEXT];
		char dir[TARGET];
		registry_name_format(&blocks[i], name);
		int holder = read_entry(self, fd, name, dir, e);
		if (holder < 0)
			r = holder;
		if (holder != REGISTRY_OURS)
			continue;
		if (unlinkat(fd, name, 0) < 0 && errno != ENOENT)
			r = err_set(e, errno,
				"cannot take block %s out of the block registry %s: %s", name,
				self->root, strerror(errno));
	}
	if (r == 0)
		(void)rmdir(path); /* when that was the last one */
	return r;
}

int registry_list(
	const struct registry_self *self, struct registry_entry **out, size_t *n, struct err *e)
{
	*out = NULL;
	*n = 0;
	int fd = open_folder(self, false, e);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	DIR *d = fdopendir(fd);
	if (!d) {
		int error = errno;
		(void)close(fd);
		return err_list(self, error, e);
	}
	CLEANUP_FREE struct registry_entry *v = NULL;
	struct registry_entry entry;
	const char *name = NULL;
	size_t room = 0, count = 0;
	int r;
	while ((r = next_entry(self, d, &entry.block, &name, e)) > 0) {
		char dir[TARGET];
		int holder = read_entry(self, dirfd(d), name, dir, e);
		if (holder < 0) {
			r = holder;
			break;
		}
		entry.holder = (enum registry_holder)holder;
		entry.here = holder == REGISTRY_OURS ||
			     (holder == REGISTRY_LOST && strcmp(dir, self->dir) == 0);
		v = mem_grow(v, &room, count, sizeof(*v));
		v[count++] = entry;
	}
	(void)closedir(d);
	if (r < 0)
		return r;
	*out = v;
	*n = count;
	v = NULL;
	return 0;
}

/* Who asks from a folder that may not be there. absolute and boot hold what *out points to. */
static int look_from(const char *dir, char absolute[PATH_MAX], char boot[BOOT_ID_TEXT],
	struct registry_self *out, struct err *e)
{
	int r = boot_id(boot, e);
	if (r < 0)
		return r;
	if (!realpath(dir, absolute)) {
		if (errno != ENOENT && errno != ENOTDIR) {
			(void)err_set(e, EAGAIN, "cannot look at %.300s: %s", dir, strerror(errno));
			return -EAGAIN;
		}
		/* no folder, so none of the others is it */
		(void)text_copy(absolute, PATH_MAX, dir);
	}
	*out = (struct registry_self){.root = REGISTRY_ROOT, .boot = boot, .dir = absolute};
	return 0;
}

int registry_list_others(const char *dir, struct cidr **out, size_t *n, struct err *e)
{
	char boot[BOOT_ID_TEXT], absolute[PATH_MAX];
	CLEANUP_FREE struct registry_entry *entries = NULL;
	struct registry_self self = {0};
	size_t count = 0;
	int r = look_from(dir, absolute, boot, &self, e);
	if (r >= 0)
		r = registry_list(&self, &entries, &count, e);
	if (r < 0)
		return r;
	*out = mem_new(count, sizeof(**out));
	*n = 0;
	for (size_t i = 0; i < count; i++)
		if (entries[i].holder == REGISTRY_OTHER)
			(*out)[(*n)++] = entries[i].block;
	return 0;
}

static bool has_line(const struct text *lines, const char *line)
{
	size_t len = strlen(line);
	for (const char *at = lines->buf; at && (at = strstr(at, line)); at++)
		if ((at == lines->buf || at[-1] == '\n') && at[len] == '\n')
			return true;
	return false;
}

int registry_name_others(const char *dir, struct text *lines, struct err *e)
{
	char boot[BOOT_ID_TEXT], absolute[PATH_MAX], holder_dir[TARGET];
	struct registry_self self = {0};
	struct cidr block;
	const char *name = NULL;
	int r = look_from(dir, absolute, boot, &self, e);
	CLEANUP_FD int fd = r < 0 ? r : open_folder(&self, false, e);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	DIR *d = open_listing(fd);
	if (!d)
		return err_list(&self, errno, e);
	while ((r = next_entry(&self, d, &block, &name, e)) > 0) {
		int holder = read_entry(&self, fd, name, holder_dir, e);
		if (holder == REGISTRY_OTHER && !has_line(lines, holder_dir))
			text_add(lines, "%s\n", holder_dir);
	}
	(void)closedir(d);
	return r;
}
