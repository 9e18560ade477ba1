/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of a probe's pods. Who lives is told by a lock on the folder (flock(2)), which the
 * kernel drops with the process: no number that could belong to somebody else by now is asked. A
 * folder is locked right after it was made; one that was removed in between (its link count says
 * so) is made again.
 *
 * Nothing is synced: after a reboot there is nothing left to delete but records of IPAM plugins,
 * and those of roost do not outlive a boot either. A document is written aside and renamed, so
 * that a kill leaves the old one or the new one.
 */
#include "cli/probe/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define PREFIX "roost-probe-"
#define FRESH ".new"
#define TRIES 10
#define DOCUMENT_MAX (4UL * JSON_MAX_BYTES)

struct probe_journal {
	char parent[4096]; /* STATE_DIR/probe */
	char id[PROBE_JOURNAL_ID];
	int fd; /* of the folder, locked */
};

/* The start of the process in clock ticks since boot: field 22 of /proc/self/stat (proc(5)). */
static unsigned long long started(void)
{
	char buf[1024];
	CLEANUP_FD int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	const char *at = strrchr(buf, ')'); /* the name before may contain anything */
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

int probe_journal_id(char out[PROBE_JOURNAL_ID], struct err *e)
{
	char boot[BOOT_ID_TEXT];
	int r = boot_id(boot, e);
	if (r < 0)
		return r;
	(void)snprintf(
		out, PROBE_JOURNAL_ID, PREFIX "%.8s-%d-%llu", boot, (int)getpid(), started());
	return 0;
}

static int name_parent(const char *state_dir, char out[4096], struct err *e)
{
	struct text t = {.buf = out, .size = 4096};
	text_add(&t, "%s/probe", state_dir);
	return t.cut ? err_set(e, ENAMETOOLONG, "the name of the state folder is too long") : 0;
}

/* Opens and locks a folder: the descriptor, or an error; -EWOULDBLOCK: its probe lives. */
static int lock_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	if (fd < 0)
		return -errno;
	int r = 0;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_nlink == 0)
		r = -ENOENT;
	if (r < 0)
		(void)close(fd);
	return r < 0 ? r : fd;
}

static struct probe_journal *new_journal(const char *parent, const char *id, int fd)
{
	struct probe_journal *j = mem_new(1, sizeof(*j));
	(void)text_copy(j->parent, sizeof(j->parent), parent);
	(void)text_copy(j->id, sizeof(j->id), id);
	j->fd = fd;
	return j;
}

int probe_journal_open(
	const char *state_dir, const char *id, struct probe_journal **out, struct err *e)
{
	char parent[4096], path[4200];
	int r = name_parent(state_dir, parent, e);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/%s", parent, id);
	for (int i = 0; i < TRIES; i++) {
		r = file_make_dir(state_dir, 0700, e);
		if (r >= 0)
			r = file_make_dir(parent, 0700, e);
		if (r < 0)
			return r;
		if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != ENOENT)
			return err_set(e, errno, "cannot make %s: %s", path, strerror(errno));
		int fd = lock_folder(path);
		if (fd >= 0) {
			*out = new_journal(parent, id, fd);
			return 0;
		}
		r = fd;
	}
	return err_set(e, -r, "cannot lock %s: %s", path, strerror(-r));
}

void probe_journal_close(struct probe_journal *j)
{
	if (!j)
		return;
	char path[4200];
	(void)snprintf(path, sizeof(path), "%s/%s", j->parent, j->id);
	(void)rmdir(path); /* stays while there are documents */
	(void)rmdir(j->parent);
	(void)close(j->fd);
	free(j);
}

int probe_journal_put(struct probe_journal *j, const char *name, const json_t *doc, struct err *e)
{
	CLEANUP_FREE char *text = json_text(doc);
	(void)unlinkat(j->fd, FRESH, 0); /* of a killed one, or a link that leads elsewhere */
	CLEANUP_FD int fd =
		openat(j->fd, FRESH, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : file_write(fd, text, strlen(text));
	if (r == 0 && renameat(j->fd, FRESH, j->fd, name) < 0)
		r = -errno;
	if (r < 0)
		return err_set(
			e, -r, "cannot write %s/%s/%s: %s", j->parent, j->id, name, strerror(-r));
	return 0;
}

void probe_journal_drop(struct probe_journal *j, const char *name)
{
	(void)unlinkat(j->fd, name, 0);
}

int probe_journal_list(const char *state_dir, char ***out, size_t *n, struct err *e)
{
	char parent[4096];
	size_t room = 0;
	*out = NULL;
	*n = 0;
	int r = name_parent(state_dir, parent, e);
	DIR *d = r < 0 ? NULL : opendir(parent);
	if (!d)
		return r; /* nobody was here */
	for (struct dirent *f; (f = readdir(d));) {
		if (strncmp(f->d_name, PREFIX, strlen(PREFIX)) != 0 ||
			strlen(f->d_name) >= PROBE_JOURNAL_ID)
			continue;
		*out = mem_grow(*out, &room, *n, sizeof(**out));
		(*out)[(*n)++] = mem_strdup(f->d_name);
	}
	(void)closedir(d);
	return 0;
}

/* What cannot be read is dropped: nobody could do anything with it. */
static void read_pod(const struct probe_journal *j, const char *name, json_t *pods)
{
	CLEANUP_FD int fd = openat(j->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	CLEANUP_FREE char *text = NULL;
	json_t *doc = NULL;
	size_t len = 0;
	struct err ignored;
	if (fd >= 0 && file_read_fd(fd, DOCUMENT_MAX, &text, &len, &ignored) >= 0)
		doc = json_loadb(text, len, 0, NULL);
	if (!doc || json_object_set_new(pods, name, doc) < 0)
		(void)unlinkat(j->fd, name, 0);
}

int probe_journal_take(const char *state_dir, const char *id, struct probe_journal **out,
	json_t **pods, struct err *e)
{
	char parent[4096], path[4200];
	int r = name_parent(state_dir, parent, e);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/%s", parent, id);
	int fd = lock_folder(path);
	if (fd == -EWOULDBLOCK || fd == -ENOENT)
		return 0;
	if (fd < 0)
		return err_set(e, -fd, "cannot lock %s: %s", path, strerror(-fd));
	*out = new_journal(parent, id, fd);
	*pods = json_object();
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	for (struct dirent *f; d && (f = readdir(d));)
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0)
			read_pod(*out, f->d_name, *pods);
	if (d)
		(void)closedir(d);
	return 1;
}
