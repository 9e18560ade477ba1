/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl node install: executables into the folder in which the runtime looks for them. A file that runs
 * cannot be written, and one that is half written must not be started, so each is written beside its
 * place under a name that no runtime knows, synced, and renamed. What others have in the folder is not
 * looked at.
 */
#include "cli/commands.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output.h"
#include "lib/file.h"
#include "lib/mem.h"

#define BYTES_MAX (64u << 20) /* of an executable */

static int read_file(const char *path, char **out, size_t *len, struct err *e)
{
	struct stat st;
	CLEANUP_FD int fd = file_open(path, O_RDONLY, &st, e);
	int r = fd < 0 ? fd : file_read_fd(fd, BYTES_MAX, out, len, e);
	if (fd >= 0 && r < 0)
		err_add(e, "%s", path);
	return r;
}

static bool is_same(const char *path, const char *bytes, size_t len)
{
	CLEANUP_FREE char *there = NULL;
	size_t there_len = 0;
	struct stat st;
	struct err ignored;
	return stat(path, &st) == 0 && (st.st_mode & 0111) == 0111 && (size_t)st.st_size == len &&
	       read_file(path, &there, &there_len, &ignored) == 0 && memcmp(there, bytes, len) == 0;
}

/* What a person may not think of, who only sees a pod that does not start. */
static int explain(int r, const char *to, struct err *e)
{
	if (r == -EROFS)
		err_details(e,
			"the file system of %.200s is read-only on this machine: give the runtime "
			"another folder for plugins (containerd: bin_dir), and mount that one",
			to);
	return r;
}

static int install_one(const char *from, const char *to, const char *name, struct err *e)
{
	char source[PATH_MAX], target[PATH_MAX];
	CLEANUP_FREE char *bytes = NULL;
	size_t len = 0;
	(void)snprintf(source, sizeof(source), "%.2000s/%s", from, name);
	(void)snprintf(target, sizeof(target), "%.2000s/%s", to, name);
	int r = read_file(source, &bytes, &len, e);
	if (r < 0)
		return r;
	if (is_same(target, bytes, len)) {
		(void)printf("%s is there already\n", target);
		return 0;
	}
	r = file_replace(target, 0755, bytes, len, e);
	if (r < 0)
		return explain(r, to, e);
	(void)printf("%s installed\n", target);
	return 0;
}

static int is_plain(const struct dirent *d)
{
	return *d->d_name != '.';
}

int node_install(const struct options *o)
{
	const char *from = o->operands[0], *to = o->operands[1];
	struct err e = {0};
	struct dirent **names = NULL;
	int n = scandir(from, &names, is_plain, alphasort);
	int r = n < 0 ? err_set(&e, errno, "cannot open folder %.200s: %s", from, strerror(errno))
		: n == 0 ? err_set(&e, ENOENT, "folder %.200s is empty", from)
			 : explain(file_make_dir(to, 0755, &e), to, &e);
	for (int i = 0; i < n; i++) {
		if (r >= 0)
			r = install_one(from, to, names[i]->d_name, &e);
		free(names[i]);
	}
	free((void *)names);
	return r < 0 ? output_error(&e) : 0;
}
