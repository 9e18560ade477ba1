/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Files: bounded reads, whole writes, replacement that a crash cannot tear, folders with explicit
 * modes, locks, small settings under /proc/sys.
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

/* Opens (creating it, 0600) and locks a lock file; waits for others as long as it takes, so call
 * it under a timer (lib/deadline.h). Returns the descriptor; closing it unlocks. */
enum file_lock { FILE_LOCK_SHARED, FILE_LOCK_EXCLUSIVE };
int file_lock(const char *path, enum file_lock kind, struct err *e);

/* Within an open lock file: one of 2^62 slots, exclusive, until the descriptor is closed. For
 * things that must not happen twice at once, each with the slot of its hash. Waits as
 * file_lock() does. */
int file_lock_slot(int fd, uint64_t slot, struct err *e);

/* The same without waiting: 1, or 0 when somebody else has it. */
int file_try_lock_slot(int fd, uint64_t slot, struct err *e);

/* Reads or writes a small setting, "/proc/sys/net/...". The value is an integer in text. -ENOENT
 * when the kernel does not have it (no IPv6, say). Where /proc/sys is read-only, a setting that
 * has the value counts as written; -EROFS when it has another. */
int file_get_number(const char *path, long *out, struct err *e);
int file_put_number(const char *path, long value, struct err *e);

/* Writes the value to several settings of one folder. What the kernel does not have is passed
 * over. */
int file_put_numbers(
	const char *dir, const char *const names[], size_t n, long value, struct err *e);
