/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that roost made, below a root that may be another machine's (a pod sees its host at /host). Two folders
 * are ours by their names, /run/roost and /var/lib/roost, and go with all that is in them. Of folders that
 * settings name only files with our names go, as somebody may have named one that is not ours alone. Nothing is
 * followed, and no other file system is entered.
 */
#include "cli/purge_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define RUN "/run/roost"
#define DATA "/var/lib/roost"
#define CONFLIST "/etc/cni/net.d/10-roost.conflist"
#define BIN "/opt/cni/bin"
#define SETTINGS "/etc/roost"
#define DEPTH_MAX 16

struct path {
	char text[PATH_MAX];
};

static const char *in_root(const struct purge *p, const char *path, struct path *out)
{
	(void)snprintf(out->text, sizeof(out->text), "%.2000s%.2000s", p->root, path);
	return out->text;
}

/* ---- Trees ---- */

static int refuse(const char *what, int error, struct err *e)
{
	return err_set(e, error, "cannot remove %.200s: %s", what, strerror(error));
}

static int remove_entry(int dir, const char *name, dev_t dev, int depth, struct err *e);

static int remove_inside(int fd, dev_t dev, int depth, struct err *e)
{
	DIR *list = fdopendir(fd);
	const struct dirent *d;
	int r = 0;
	if (!list) {
		(void)close(fd);
		return refuse("a folder", errno, e);
	}
	while (r == 0 && (d = readdir(list)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			r = remove_entry(dirfd(list), d->d_name, dev, depth, e);
	(void)closedir(list);
	return r;
}

static int remove_folder(int dir, const char *name, dev_t dev, int depth, struct err *e)
{
	if (depth == 0)
		return refuse(name, ELOOP, e);
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? refuse(name, errno, e) : remove_inside(fd, dev, depth - 1, e);
	if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = refuse(name, errno, e);
	return r;
}

/* dev: of the file system that must not be left. Folders tell: overlayfs gives files another one, and a file
 * on which something is mounted cannot be removed. */
static int remove_entry(int dir, const char *name, dev_t dev, int depth, struct err *e)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : refuse(name, errno, e);
	if (S_ISDIR(st.st_mode) && st.st_dev != dev)
		return refuse(name, EXDEV, e);
	if (S_ISDIR(st.st_mode))
		return remove_folder(dir, name, dev, depth, e);
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? refuse(name, errno, e) : 0;
}

static void remove_tree(struct purge *p, const char *path)
{
	struct path real;
	struct stat st;
	struct err e;
	if (lstat(in_root(p, path, &real), &st) < 0)
		return;
	if (!purge_takes(p, "%s %s", S_ISDIR(st.st_mode) ? "folder" : "file", path))
		return;
	if (remove_entry(AT_FDCWD, real.text, st.st_dev, DEPTH_MAX, &e) < 0)
		purge_failed(p, &e);
}

/* ---- Folders that settings name ---- */

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool has_our_name(const char *name)
{
	static const char *const ours[] = {"lock", "wiring.lock", "agent.lock", "node-*.mdb*",
		"blocks.json", "blocks.json.*", "store", "probe", "fault*"};
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (fnmatch(ours[i], name, 0) == 0)
			return true;
	return false;
}

static void remove_known(struct purge *p, const char *path)
{
	struct path real;
	DIR *list = opendir(in_root(p, path, &real));
	const struct dirent *d;
	if (!list)
		return;
	while ((d = readdir(list))) {
		char one[PATH_MAX];
		(void)snprintf(one, sizeof(one), "%.2000s/%s", path, d->d_name);
		if (has_our_name(d->d_name))
			remove_tree(p, one);
	}
	(void)closedir(list);
	if (!p->dry_run && rmdir(real.text) < 0 && errno == ENOTEMPTY)
		purge_leaves(p, "folder %s: it has files that are none of roost's", path);
}

static void remove_set(struct purge *p, const char *path)
{
	if (!is_below(path, RUN) && !is_below(path, DATA))
		remove_known(p, path);
}

static void remove_file(struct purge *p, const char *path)
{
	if (!is_below(path, RUN) && !is_below(path, DATA))
		remove_tree(p, path);
}

/* ---- The runtime's ---- */

/* Somebody else may have given a file our name. */
static bool is_of_roost(const char *path)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err ignored;
	if (json_read_file(path, &doc, &ignored) < 0)
		return false;
	const json_t *plugins = json_object_get(doc, "plugins");
	for (size_t i = 0; i < json_array_size(plugins); i++) {
		const char *type =
			json_string_value(json_object_get(json_array_get(plugins, i), "type"));
		if (type && strcmp(type, "roost") == 0)
			return true;
	}
	return false;
}

void purge_runtime_files(struct purge *p)
{
	const char *conflist = *p->conf->conflist_file ? p->conf->conflist_file : CONFLIST;
	struct path real;
	if (access(in_root(p, conflist, &real), F_OK) == 0) {
		if (is_of_roost(real.text))
			remove_tree(p, conflist);
		else
			purge_leaves(p, "file %s: it is no configuration of roost", conflist);
	}
	remove_tree(p, BIN "/roost");
	remove_tree(p, BIN "/roost-ipam");
}

void purge_own_files(struct purge *p)
{
	const struct agent_conf *c = p->conf;
	struct path real;
	char beside[AGENT_CONF_PATH + 8];
	static const char *const ends[] = {"", ".new", ".old", ".check"};
	for (size_t i = 0; i < c->n_state_dirs; i++)
		remove_set(p, c->state_dirs[i]);
	remove_set(p, c->data_dir);
	remove_file(p, c->socket);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(beside, sizeof(beside), "%s%s", c->bird_file, ends[i]);
		remove_file(p, beside);
	}
	remove_tree(p, RUN);
	remove_tree(p, DATA);
	if (access(in_root(p, SETTINGS, &real), F_OK) == 0)
		purge_leaves(p, "folder " SETTINGS ": settings are people's");
}
