/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Files: bounded reads, whole writes, replacement that a crash cannot tear, folders with explicit
 * modes, small settings under /proc/sys.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

/* Reads fd to its end into heap memory, NUL-terminated (the caller frees *out; *len is without
 * the NUL). -EFBIG beyond max bytes, -EIO and others when it cannot be read. */
int file_read_fd(int fd, size_t max, char **out, size_t *len, struct err *e);

/* Writes all of it. -errno; the sentence is the caller's, who knows what fd is. */
int file_write(int fd, const char *bytes, size_t len);

/* Makes path hold just these bytes, with this mode: writes "path.new", syncs it, renames it, syncs
 * the folder. Before and after an error or a crash path is as it was or as it shall be. */
int file_replace(const char *path, mode_t mode, const char *bytes, size_t len, struct err *e);

/* Makes the names in a folder last: call it after rename() or unlink(). */
int file_sync_dir(const char *dir, struct err *e);

/* Makes dir and its missing parents (parents 0755, dir itself mode). */
int file_make_dir(const char *dir, mode_t mode, struct err *e);

/* Whether so many bytes and files could be made in dir, or in the nearest folder above that is there: 0,
 * -ENOSPC, -EROFS. */
int file_check_room(const char *dir, uint64_t bytes, unsigned int files, struct err *e);

/* Opens one of our own files, made with 0600 where flags say O_CREAT: a plain one, with no other name.
 * Never through a link, never waiting for a FIFO's other end. What else has the name is told: -ELOOP a
 * symbolic link, -EISDIR, -EMLINK a file with a second name, -ENXIO. st: of the file, or NULL. */
struct stat;
int file_open(const char *path, int flags, struct stat *st, struct err *e);

/* A new, empty file for writing, in the place of what has the name: only a folder is refused. */
int file_create(const char *path, mode_t mode, struct err *e);

/* The first bytes of a file get their place in the file system, whether they are in its size or not: so
 * that a map of them never meets a hole that cannot be filled. Nothing where a file system cannot. */
int file_allocate(int fd, const char *path, off_t bytes, struct err *e);

/* Says what has a name that should be a plain file's, and what to do. error: -errno, of open(). */
int file_refuse(const char *path, int error, struct err *e);

/* Reads or writes a small setting, "/proc/sys/net/...". The value is an integer in text. -ENOENT
 * when the kernel does not have it (no IPv6, say). Where /proc/sys is read-only, as in containers, a setting
 * that has the value counts as written, and another one is written below FILE_HOST, if it is there; -EROFS
 * when it is not. */
#define FILE_HOST "/run/host"
int file_get_number(const char *path, long *out, struct err *e);
int file_put_number(const char *path, long value, struct err *e);

/* Writes the value to several settings of one folder. What the kernel does not have is passed
 * over. */
int file_put_numbers(
	const char *dir, const char *const names[], size_t n, long value, struct err *e);
