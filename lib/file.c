/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, folders and small settings. Everything is opened with O_CLOEXEC and made with an
 * explicit mode, whatever the umask of the runtime that started us. Reads are bounded: what is read
 * here was written by others.
 *
 * Our own files lie in folders of our own, where a link, a FIFO or a device is somebody's mistake, or
 * worse. Opening one must not wait, follow it, or change what has another name elsewhere: it is told
 * what is there. Folders are on the way of every ADD, so the common case, where they exist, costs one
 * system call.
 */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/text.h"

#define PART 4096 /* bytes that are read at once */

int file_read_fd(int fd, size_t max, char **out, size_t *len, struct err *e)
{
	CLEANUP_TEXT struct text t = {0};
	for (ssize_t n = 1; n != 0;) {
		n = read(fd, text_reserve(&t, PART), PART);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "cannot read: %s", strerror(errno));
		t.len += (size_t)n;
		if (t.len > max)
			return err_set(e, EFBIG, "longer than %zu bytes", max);
	}
	*len = t.len;
	*out = text_take(&t);
	return 0;
}

int file_write(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static const char *kind_of(const struct stat *st)
{
	return S_ISLNK(st->st_mode)    ? "a symbolic link"
	       : S_ISDIR(st->st_mode)  ? "a folder"
	       : S_ISFIFO(st->st_mode) ? "a FIFO"
	       : S_ISSOCK(st->st_mode) ? "a socket"
				       : "a device";
}

int file_refuse(const char *path, int error, struct err *e)
{
	struct stat st;
	bool odd = error == -ELOOP || error == -EISDIR || error == -ENXIO || error == -EEXIST;
	if (odd && lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, -error, "%s is %s, not a file: remove it", path, kind_of(&st));
	return err_set(e, -error, "cannot open %s: %s", path, strerror(-error));
}

static int check_plain(const char *path, const struct stat *st, struct err *e)
{
	if (S_ISDIR(st->st_mode))
		return file_refuse(path, -EISDIR, e);
	if (!S_ISREG(st->st_mode))
		return file_refuse(path, -ENXIO, e);
	if (st->st_nlink > 1)
		return err_set(e, EMLINK,
			"%s has a second name elsewhere (a hard link): remove this one", path);
	return 0;
}

int file_open(const char *path, int flags, struct stat *st, struct err *e)
{
	struct stat own;
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return file_refuse(path, -errno, e);
	st = st ? st : &own;
	int r = fstat(fd, st) < 0 ? file_refuse(path, -errno, e) : check_plain(path, st, e);
	if (r == 0)
		return fd;
	(void)close(fd);
	return r;
}

int file_create(const char *path, mode_t mode, struct err *e)
{
	(void)unlink(path); /* if it cannot be removed, it cannot be made either */
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd >= 0)
		return fd;
	int error = errno;
	struct stat st;
	if (error == EEXIST && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return file_refuse(path, -EISDIR, e);
	return err_set(e, error, "cannot make %s: %s", path, strerror(error));
}

int file_allocate(int fd, const char *path, off_t bytes, struct err *e)
{
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0 || errno == EOPNOTSUPP)
		return 0;
	return err_set(e, errno, "cannot make room in %s: %s", path, strerror(errno));
}

static int write_new(const char *path, mode_t mode, const char *bytes, size_t len, struct err *e)
{
	CLEANUP_FD int fd = file_create(path, mode, e);
	if (fd < 0)
		return fd;
	int r = file_write(fd, bytes, len);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -errno;
	return r < 0 ? err_set(e, -r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

int file_replace(const char *path, mode_t mode, const char *bytes, size_t len, struct err *e)
{
	char dir[PATH_MAX];
	char fresh[PATH_MAX];
	struct text t = TEXT_ON(fresh);
	text_add(&t, "%s.new", path);
	if (t.cut)
		return err_set(e, ENAMETOOLONG, "the path %.200s is too long", path);
	int r = write_new(fresh, mode, bytes, len, e);
	if (r == 0 && rename(fresh, path) < 0)
		r = err_set(e, errno, "cannot replace %s: %s", path, strerror(errno));
	if (r < 0) {
		(void)unlink(fresh);
		return r;
	}
	(void)text_copy(dir, sizeof(dir), path);
	return file_sync_dir(dirname(dir), e);
}

int file_sync_dir(const char *dir, struct err *e)
{
	CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_set(e, errno, "cannot sync folder %s: %s", dir, strerror(errno));
	return 0;
}

/* Makes one folder with exactly this mode; an existing one is fine and keeps its mode. */
static int make_one(const char *dir, mode_t mode, struct err *e)
{
	struct stat st;
	if (mkdir(dir, mode) == 0) {
		if (chmod(dir, mode) < 0)
			return err_set(
				e, errno, "cannot set the mode of %s: %s", dir, strerror(errno));
		return 0;
	}
	int error = errno;
	if (error != EEXIST)
		return err_set(e, error, "cannot make folder %s: %s", dir, strerror(error));
	if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_set(e, ENOTDIR, "cannot make folder %s: a file is in its place", dir);
	return 0;
}

int file_make_dir(const char *dir, mode_t mode, struct err *e)
{
	char path[PATH_MAX];
	if (*dir == '\0' || !text_copy(path, sizeof(path), dir))
		return err_set(
			e, *dir ? ENAMETOOLONG : EINVAL, "\"%.60s\" is not a usable path", dir);
	for (char *p = path + 1; *p; p++) {
		if (*p != '/' || p[1] == '\0' || p[1] == '/')
			continue;
		*p = '\0';
		int r = make_one(path, 0755, e);
		if (r < 0)
			return r;
		*p = '/';
	}
	return make_one(path, mode, e);
}

static int look_for_room(const char *dir, const struct statvfs *fs, uint64_t bytes,
	unsigned int files, struct err *e)
{
	if (fs->f_flag & ST_RDONLY)
		return err_set(e, EROFS, "the file system of %s is read-only", dir);
	if (fs->f_blocks && fs->f_bavail * fs->f_frsize < bytes)
		return err_set(
			e, ENOSPC, "the file system of %s is full: %s", dir, strerror(ENOSPC));
	if (fs->f_files && fs->f_favail < files)
		return err_set(e, ENOSPC, "the file system of %s has no inodes left: %s", dir,
			strerror(ENOSPC));
	return 0;
}

int file_check_room(const char *dir, uint64_t bytes, unsigned int files, struct err *e)
{
	char path[PATH_MAX];
	struct statvfs fs;
	(void)text_copy(path, sizeof(path), dir);
	for (;;) {
		if (statvfs(path, &fs) == 0)
			return look_for_room(path, &fs, bytes, files, e);
		char *slash = strrchr(path, '/');
		if (errno != ENOENT || !slash)
			return err_set(e, errno, "cannot look at %s: %s", path, strerror(errno));
		slash[slash == path] = '\0';
	}
}

static int get_number(int dir, const char *path, long *out, struct err *e)
{
	CLEANUP_FD int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
	char text[32];
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return err_set(e, errno, "cannot read %s: %s", path, strerror(errno));
	text[n] = '\0';
	char *end;
	errno = 0;
	long value = strtol(text, &end, 10);
	if (errno || end == text || (*end && *end != '\n'))
		return err_set(e, EBADMSG, "%s does not hold a number", path);
	*out = value;
	return 0;
}

int file_get_number(const char *path, long *out, struct err *e)
{
	return get_number(AT_FDCWD, path, out, e);
}

/* Containers often have a read-only /proc/sys. What has the value already needs no writing; asked
 * only then, as each walk through /proc/sys is slow. */
static int compare_number(int dir, const char *path, long value, struct err *e)
{
	long there = 0;
	int r = get_number(dir, path, &there, e);
	if (r < 0 || there == value)
		return r;
	return err_set(e, EROFS, "%s is %ld and has to be %ld, but cannot be written: %s", path,
		there, value, strerror(EROFS));
}

static int write_number(int fd, const char *path, long value, struct err *e)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%ld", value);
	if (write(fd, text, (size_t)len) != len)
		return err_set(
			e, errno, "cannot write %ld to %s: %s", value, path, strerror(errno));
	return 0;
}

static int put_number(int dir, const char *path, long value, struct err *e)
{
	CLEANUP_FD int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == EROFS)
		return compare_number(dir, path, value, e);
	if (fd < 0)
		return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
	return write_number(fd, path, value, e);
}

/* Whoever runs a container that is not privileged and has to change settings mounts the host's /proc/sys/net
 * at this place, too. It is asked for only after a setting could not be changed in its own. *e stays as it is when
 * there is no such thing. */
static int put_on_host(const char *dir, const char *name, long value, struct err *e)
{
	char path[PATH_MAX];
	struct statfs fs;
	(void)snprintf(path, sizeof(path), FILE_HOST "%s%s%s", dir, *dir ? "/" : "", name);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return -EROFS;
	return write_number(fd, path, value, e);
}

int file_put_number(const char *path, long value, struct err *e)
{
	int r = put_number(AT_FDCWD, path, value, e);
	return r == -EROFS ? put_on_host("", path, value, e) : r;
}

/* One walk to the folder: on a host with many namespaces each walk through /proc/sys/net is
 * slow, as the kernel keeps their entries in one hash chain. */
int file_put_numbers(
	const char *dir, const char *const names[], size_t n, long value, struct err *e)
{
	CLEANUP_FD int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return err_set(e, errno, "cannot open %s: %s", dir, strerror(errno));
	for (size_t i = 0; fd >= 0 && i < n; i++) {
		int r = put_number(fd, names[i], value, e);
		if (r == -EROFS)
			r = put_on_host(dir, names[i], value, e);
		if (r < 0 && r != -ENOENT) {
			err_add(e, "%s", dir);
			return r;
		}
	}
	return 0;
}
