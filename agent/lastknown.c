/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that survives a reboot. The node state is of one boot and lies in memory; the cluster
 * store may be away when the machine comes up. What lies between is here: small, JSON, readable by
 * the person who has to find out what happened.
 *
 * It is replaced as a whole (new file, fsync, rename, fsync of the folder), so at every moment
 * there is the old or the new one. Being wrong is dangerous in one direction only: a block that is
 * missing here is read from the store again, a block that is here but no longer ours would be
 * used by two nodes if trustLastBlocks is set. So what is read is either exactly what was written
 * or nothing: unknown keys, another version, or a value out of its bounds make the file damaged.
 * A damaged file is kept beside its place, one of them, for the person who wants to know.
 */
#include "agent/lastknown.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define VERSION 1
#define PATH_ROOM (AGENT_CONF_PATH + 40)
#define MTU_MAX 65535

void lastknown_done(struct lastknown *l)
{
	free(l->blocks);
	*l = (struct lastknown){0};
}

/* ---- Writing ---- */

static void put(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value); /* cannot fail: memory never does */
}

static json_t *cidr_value(const struct cidr *c)
{
	char text[CIDR_TEXT];
	cidr_format(c, text);
	return json_string(text);
}

static json_t *text_value(const char *s)
{
	char clean[AGENT_CONF_PATH];
	(void)json_clean(clean, sizeof(clean), s);
	return json_string(clean);
}

static json_t *format_pools(const struct mirror *m)
{
	json_t *list = json_array();
	for (size_t i = 0; i < m->n_pools; i++) {
		const struct mirror_pool *p = &m->pools[i];
		json_t *o = json_object();
		put(o, "name", text_value(p->name));
		put(o, "cidr", cidr_value(&p->pool.cidr));
		put(o, "blockSize", json_integer(p->pool.block_len));
		put(o, "cooldownSeconds", json_integer(p->pool.cooldown_s));
		put(o, "assigns", json_boolean(p->assigns));
		(void)json_array_append_new(list, o);
	}
	return list;
}

static json_t *format_blocks(const struct lastknown *l)
{
	json_t *list = json_array();
	for (size_t i = 0; i < l->n_blocks; i++) {
		json_t *o = json_object();
		put(o, "cidr", cidr_value(&l->blocks[i].cidr));
		put(o, "stateDir", text_value(l->blocks[i].state_dir));
		(void)json_array_append_new(list, o);
	}
	return list;
}

char *lastknown_format(const struct lastknown *l)
{
	CLEANUP_JSON json_t *o = json_object();
	put(o, "version", json_integer(VERSION));
	put(o, "installation", json_string(l->installation));
	put(o, "node", json_string(l->mirror.node));
	put(o, "blocks", format_blocks(l));
	put(o, "pools", format_pools(&l->mirror));
	json_t *reserved = json_array();
	for (size_t i = 0; i < l->mirror.n_reserved; i++)
		(void)json_array_append_new(reserved, cidr_value(&l->mirror.reserved[i]));
	put(o, "reserved", reserved);
	put(o, "mtu4", json_integer(l->mirror.mtu[IPV4]));
	put(o, "mtu6", json_integer(l->mirror.mtu[IPV6]));
	return json_dumps(o, JSON_INDENT(1));
}

/* ---- Reading ---- */

/* A text that must be there; borrowed. */
static int need_text(
	const json_t *doc, const char *where, const char *key, const char **out, struct err *e)
{
	int r = json_get_string(doc, where, key, out, e);
	return r == 0 ? err_set(e, EBADMSG, "%s%s%s is missing", where, *where ? "." : "", key) : r;
}

static int need_array(const json_t *doc, const char *key, json_t **out, struct err *e)
{
	int r = json_get_array(doc, "", key, out, e);
	return r == 0 ? err_set(e, EBADMSG, "%s is missing", key) : r;
}

static int parse_cidr(const char *text, const char *where, struct cidr *out, struct err *e)
{
	if (cidr_parse(text, out, e) < 0 || cidr_has_host_bits(out))
		return err_set(e, EBADMSG, "%s is no prefix", where);
	return 0;
}

static int read_block(
	const json_t *doc, const char *where, struct lastknown_block *out, struct err *e)
{
	static const char *const known[] = {"cidr", "stateDir", NULL};
	const char *cidr = NULL, *dir = NULL;
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "%s is not an object", where);
	int r = json_check_keys(doc, where, known, e);
	if (r == 0)
		r = need_text(doc, where, "cidr", &cidr, e);
	if (r >= 0)
		r = need_text(doc, where, "stateDir", &dir, e);
	if (r < 0)
		return r;
	if (*dir != '/' || !text_copy(out->state_dir, sizeof(out->state_dir), dir))
		return err_set(e, EBADMSG, "%s.stateDir is no folder", where);
	return parse_cidr(cidr, where, &out->cidr, e);
}

static int read_blocks(const json_t *doc, struct lastknown *l, struct err *e)
{
	json_t *list = NULL;
	int r = need_array(doc, "blocks", &list, e);
	if (r < 0)
		return r;
	size_t n = json_array_size(list);
	l->blocks = n ? mem_new(n, sizeof(*l->blocks)) : NULL;
	for (size_t i = 0; i < n; i++) {
		char where[40];
		(void)snprintf(where, sizeof(where), "blocks[%zu]", i);
		r = read_block(json_array_get(list, i), where, &l->blocks[i], e);
		if (r < 0)
			return r;
		l->n_blocks = i + 1;
	}
	return 0;
}

/* Takes out of the pools what is not the pool module's, which then judges the rest. */
static int read_pool_names(json_t *list, struct mirror *m, struct err *e)
{
	for (size_t i = 0; i < json_array_size(list) && i < POOL_MAX; i++) {
		json_t *o = json_array_get(list, i);
		const char *name = NULL;
		char where[40];
		(void)snprintf(where, sizeof(where), "pools[%zu]", i);
		int r = need_text(o, where, "name", &name, e);
		if (r >= 0)
			r = json_get_bool(o, where, "assigns", &m->pools[i].assigns, e);
		if (r < 0)
			return r;
		(void)json_clean(m->pools[i].name, sizeof(m->pools[i].name), name);
		(void)json_object_del(o, "name");
		(void)json_object_del(o, "assigns");
	}
	return 0;
}

static int read_pools(json_t *doc, struct mirror *m, struct err *e)
{
	json_t *list = NULL;
	int r = need_array(doc, "pools", &list, e);
	if (r < 0 || json_array_size(list) == 0)
		return r < 0 ? r : 0;
	struct pool pools[POOL_MAX];
	size_t n = 0;
	r = read_pool_names(list, m, e);
	if (r == 0)
		r = pool_parse_list(list, "pools", POOL_COOLDOWN_S, pools, &n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		m->pools[i].pool = pools[i];
	m->n_pools = n;
	return 0;
}

static int read_reserved(const json_t *doc, struct mirror *m, struct err *e)
{
	json_t *list = NULL;
	int r = need_array(doc, "reserved", &list, e);
	if (r < 0)
		return r;
	if (json_array_size(list) > MIRROR_RESERVED)
		return err_set(e, EBADMSG, "reserved has more than %d entries", MIRROR_RESERVED);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		char where[40];
		(void)snprintf(where, sizeof(where), "reserved[%zu]", i);
		r = parse_cidr(text ? text : "", where, &m->reserved[i], e);
		if (r < 0)
			return r;
		m->n_reserved = i + 1;
	}
	return 0;
}

static int read_mtu(const json_t *doc, const char *key, uint32_t *out, struct err *e)
{
	int64_t v = 0;
	int r = json_get_number(doc, "", key, 0, MTU_MAX, &v, e);
	if (r >= 0)
		*out = (uint32_t)v;
	return r < 0 ? r : 0;
}

static int read_head(const json_t *doc, struct lastknown *l, struct err *e)
{
	static const char *const known[] = {"version", "installation", "node", "blocks", "pools",
		"reserved", "mtu4", "mtu6", NULL};
	const char *installation = NULL, *node = NULL;
	int64_t version = 0;
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "not an object");
	int r = json_get_number(doc, "", "version", INT64_MIN, INT64_MAX, &version, e);
	if (r >= 0 && version != VERSION)
		r = err_set(e, EBADMSG, "its version is not %d", VERSION);
	if (r >= 0)
		r = json_check_keys(doc, "", known, e);
	if (r >= 0)
		r = need_text(doc, "", "installation", &installation, e);
	if (r >= 0)
		r = need_text(doc, "", "node", &node, e);
	if (r < 0)
		return r;
	if (!status_is_id(installation))
		return err_set(e, EBADMSG, "installation is no UUID");
	if (*node && !text_is_dns_name(node))
		return err_set(e, EBADMSG, "node is no name");
	(void)text_copy(l->installation, sizeof(l->installation), installation);
	(void)text_copy(l->mirror.node, sizeof(l->mirror.node), node);
	return 0;
}

static int read_all(json_t *doc, struct lastknown *l, struct err *e)
{
	int r = read_head(doc, l, e);
	if (r == 0)
		r = read_blocks(doc, l, e);
	if (r == 0)
		r = read_pools(doc, &l->mirror, e);
	if (r == 0)
		r = read_reserved(doc, &l->mirror, e);
	if (r == 0)
		r = read_mtu(doc, "mtu4", &l->mirror.mtu[IPV4], e);
	return r == 0 ? read_mtu(doc, "mtu6", &l->mirror.mtu[IPV6], e) : r;
}

int lastknown_parse(const char *text, size_t len, struct lastknown *out, struct err *e)
{
	CLEANUP_FREE struct lastknown *l = mem_new(1, sizeof(*l));
	CLEANUP_JSON json_t *doc = NULL;
	int r = json_parse(text, len, &doc, e);
	if (r == 0)
		r = read_all(doc, l, e);
	if (r < 0) {
		lastknown_done(l);
		return -EBADMSG; /* the pool module says -EINVAL */
	}
	*out = *l;
	return 0;
}

/* ---- The folder ---- */

static void path_of(const char *data_dir, const char *name, char out[PATH_ROOM])
{
	(void)snprintf(out, PATH_ROOM, "%.*s/%s", AGENT_CONF_PATH - 1, data_dir, name);
}

static int sync_folder(const char *dir, struct err *e)
{
	CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_set(e, errno, "cannot sync folder %s: %s", dir, strerror(errno));
	return 0;
}

int lastknown_lock(const char *data_dir, struct err *e)
{
	char path[PATH_ROOM];
	int r = file_make_dir(data_dir, 0700, e);
	if (r < 0)
		return r;
	path_of(data_dir, "agent.lock", path);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	r = errno == EWOULDBLOCK
		    ? err_set(e, EBUSY, "another agent uses the data folder %s", data_dir)
		    : err_set(e, errno, "cannot lock %s: %s", path, strerror(errno));
	(void)close(fd);
	return r;
}

/* e says why; afterwards it says where the file is, too. */
static int set_aside(const char *data_dir, const char *path, struct err *e)
{
	char aside[PATH_ROOM], why[sizeof(e->text)];
	struct err ignored;
	(void)text_copy(why, sizeof(why), e->text);
	path_of(data_dir, LASTKNOWN_FILE ".damaged", aside);
	if (rename(path, aside) < 0)
		return err_set(e, errno, "%s is damaged (%.150s) and cannot be set aside: %s", path,
			why, strerror(errno));
	(void)sync_folder(data_dir, &ignored); /* if it comes back it is set aside again */
	return err_set(
		e, EBADMSG, "%s is damaged, and was set aside as %s: %.150s", path, aside, why);
}

int lastknown_load(const char *data_dir, struct lastknown *out, struct err *e)
{
	char path[PATH_ROOM];
	path_of(data_dir, LASTKNOWN_FILE, path);
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		*out = (struct lastknown){0};
		status_make_id(out->installation);
		return 0;
	}
	if (fd < 0)
		return err_set(e, errno, "cannot open %s: %s", path, strerror(errno));
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	int r = file_read_fd(fd, JSON_MAX_BYTES, &text, &len, e);
	if (r == 0)
		r = lastknown_parse(text, len, out, e);
	if (r == -EBADMSG || r == -EFBIG)
		return set_aside(data_dir, path, e);
	if (r < 0) {
		err_add(e, "%s", path);
		return r;
	}
	return 1;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
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

static int write_new(const char *path, const char *text, struct err *e)
{
	CLEANUP_FD int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (fd < 0)
		return err_set(e, errno, "cannot make %s: %s", path, strerror(errno));
	int r = write_all(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? err_set(e, -r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

int lastknown_store(const char *data_dir, const struct lastknown *l, struct err *e)
{
	char path[PATH_ROOM], fresh[PATH_ROOM];
	path_of(data_dir, LASTKNOWN_FILE, path);
	path_of(data_dir, LASTKNOWN_FILE ".new", fresh);
	CLEANUP_FREE char *text = lastknown_format(l);
	int r = file_make_dir(data_dir, 0700, e);
	if (r == 0)
		r = write_new(fresh, text, e);
	if (r == 0 && rename(fresh, path) < 0)
		r = err_set(e, errno, "cannot replace %s: %s", path, strerror(errno));
	if (r < 0) {
		(void)unlink(fresh);
		return r;
	}
	return sync_folder(data_dir, e);
}
