/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files beside each other in one folder, moved by rename and link, so that each step is there
 * wholly or not at all. A BIRD that starts at any moment reads FILE as the last rename left it.
 *
 * What if we are killed between bird_file_put() and the confirmation? Then FILE has been found
 * good by `configure check`, and FILE.old is still there: the next agent asks BIRD to load FILE,
 * and takes it back if BIRD refuses. Other leftovers are overwritten.
 *
 * The group is looked up each time: BIRD's package, which makes it, may be installed after us.
 */
#include "agent/bird/file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/bird/config.h"
#include "agent/bird/write.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/text.h"

#define SUFFIX_MAX 8
#define FILE_MAX (64u << 20) /* bytes of a text that is read back */

static bool is_usable(const char *path)
{
	return strlen(path) < BIRD_FILE_PATH - SUFFIX_MAX && bird_write_is_quotable(path);
}

int bird_file_init(struct bird_file *f, const char *path, const char *include, const char *group,
	struct err *e)
{
	if (*path != '/' || !is_usable(path))
		return err_set(e, EINVAL, "\"%.200s\" is not a usable path of BIRD's file", path);
	if (*include && (*include != '/' || !is_usable(include)))
		return err_set(e, EINVAL, "\"%.200s\" is not a usable folder of BIRD's", include);
	*f = (struct bird_file){0};
	if (!text_copy(f->group, sizeof(f->group), group))
		return err_set(e, EINVAL, "\"%.80s\" is not the name of a group", group);
	(void)text_copy(f->path, sizeof(f->path), path);
	(void)text_copy(f->include, sizeof(f->include), include);
	(void)text_copy(f->folder, sizeof(f->folder), path);
	char *slash = strrchr(f->folder, '/');
	slash[slash == f->folder ? 1 : 0] = '\0';
	(void)snprintf(f->fresh, sizeof(f->fresh), "%s.new", path);
	(void)snprintf(f->check, sizeof(f->check), "%s.check", path);
	(void)snprintf(f->old, sizeof(f->old), "%s.old", path);
	return 0;
}

/* -1: there is no such file. */
static int open_file(const struct bird_file *f, struct stat *st)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool bird_file_is(const struct bird_file *f, const char *text)
{
	size_t wanted = strlen(text);
	struct stat st;
	CLEANUP_FD int fd = open_file(f, &st);
	if (fd < 0 || (size_t)st.st_size != wanted)
		return false;
	CLEANUP_FREE char *seen = NULL;
	size_t len = 0;
	struct err unused;
	return file_read_fd(fd, wanted, &seen, &len, &unused) == 0 && len == wanted &&
	       memcmp(seen, text, len) == 0;
}

char *bird_file_read(const struct bird_file *f)
{
	struct stat st;
	CLEANUP_FD int fd = open_file(f, &st);
	char *seen = NULL;
	size_t len = 0;
	struct err unused;
	return fd >= 0 && file_read_fd(fd, FILE_MAX, &seen, &len, &unused) == 0 ? seen : NULL;
}

static int set_access(const struct bird_file *f, int fd, struct err *e)
{
	if (*f->group) {
		errno = 0;
		const struct group *g = getgrnam(f->group);
		if (!g)
			return err_set(e, errno ? errno : ENOENT,
				"there is no group \"%s\", which shall read %s", f->group, f->path);
		if (fchown(fd, (uid_t)-1, g->gr_gid) < 0)
			return err_set(e, errno, "cannot give %s to the group %s: %s", f->path,
				f->group, strerror(errno));
	}
	if (fchmod(fd, *f->group ? 0640 : 0600) < 0)
		return err_set(e, errno, "cannot set the mode of %s: %s", f->path, strerror(errno));
	return 0;
}

/* A new file each time, never through a link that somebody left there. */
static int write_file(const struct bird_file *f, const char *path, const char *text, struct err *e)
{
	CLEANUP_FD int fd = file_create(path, 0600, e);
	if (fd < 0)
		return fd;
	int r = set_access(f, fd, e);
	if (r < 0)
		return r;
	r = file_write(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? err_set(e, -r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

int bird_file_write(const struct bird_file *f, const char *text, struct err *e)
{
	CLEANUP_FREE char *main = bird_config_main(f->fresh, f->include);
	int r = file_make_dir(f->folder, 0755, e);
	if (r == 0)
		r = write_file(f, f->fresh, text, e);
	return r < 0 ? r : write_file(f, f->check, main, e);
}

/* The file is written again anyway if this is lost. */
static void sync_folder(const struct bird_file *f)
{
	struct err ignored;
	(void)file_sync_dir(f->folder, &ignored);
}

int bird_file_put(const struct bird_file *f, struct err *e)
{
	(void)unlink(f->old);
	if (link(f->path, f->old) < 0 && errno != ENOENT)
		return err_set(
			e, errno, "cannot keep %s as %s: %s", f->path, f->old, strerror(errno));
	if (rename(f->fresh, f->path) < 0)
		return err_set(e, errno, "cannot replace %s: %s", f->path, strerror(errno));
	sync_folder(f);
	return 0;
}

void bird_file_keep(const struct bird_file *f)
{
	(void)unlink(f->old);
	(void)unlink(f->fresh);
	(void)unlink(f->check);
}

bool bird_file_is_on_trial(const struct bird_file *f)
{
	return access(f->old, F_OK) == 0;
}

void bird_file_take_back(const struct bird_file *f)
{
	if (rename(f->old, f->path) < 0)
		(void)unlink(f->path); /* there was none: BIRD must be able to start without it */
	sync_folder(f);
}
