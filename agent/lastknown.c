/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that survives a reboot. The node state is of one boot and lies in memory; the cluster
 * store may be away when the machine comes up. What lies between is here: small, JSON, readable by
 * the person who has to find out what happened.
 *
 * It is replaced as a whole, so at every moment there is the old or the new one. Being wrong is
 * dangerous in one direction only: a block that is missing here is read from the store again, a
 * block that is here but no longer ours would be used by two nodes if trustLastBlocks is set. So
 * what is read is either exactly what was written or nothing: unknown keys, another version, or a
 * value out of its bounds make the file damaged. A damaged file is kept beside its place, one of
 * them, for the person who wants to know.
 */
#include "agent/lastknown.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/schema.h"
#include "lib/text.h"

#define VERSION 1
#define PATH_ROOM (AGENT_CONF_PATH + 40)
#define MTU_MAX 65535

void lastknown_done(struct lastknown *l)
{
	free(l->blocks);
	*l = (struct lastknown){0};
}

/* ---- The form ---- */

static json_t *write_version(const struct schema_member *m, const void *in)
{
	(void)m;
	(void)in;
	return json_integer(VERSION);
}

static int read_folder(const struct schema_at *at, const char *text, void *out)
{
	if (*text != '/' || !text_copy(out, at->m->size, text))
		return schema_refuse(at, EBADMSG, "is no folder");
	return 0;
}

static json_t *write_folder(const struct schema_member *m, const void *in)
{
	(void)m;
	return json_of_text(in);
}

/* In the digits that etcdctl shows. */
static int read_store(const struct schema_at *at, const char *text, void *out)
{
	uint64_t id = 0;
	char again[20];
	for (const char *p = text; text_hex_digit(*p) >= 0; p++)
		id = id << 4 | (uint64_t)text_hex_digit(*p);
	(void)snprintf(again, sizeof(again), "%" PRIx64, id);
	if (strcmp(again, text) != 0)
		return schema_refuse(at, EBADMSG, "is no id of a store");
	*(uint64_t *)out = id;
	return 0;
}

static json_t *write_store(const struct schema_member *m, const void *in)
{
	char text[20];
	(void)m;
	(void)snprintf(text, sizeof(text), "%" PRIx64, *(const uint64_t *)in);
	return json_string(text);
}

static const struct schema_type store_type = {.parse = read_store, .write = write_store};
static const struct schema_type version_type = {.write = write_version};
static const struct schema_type folder_type = {.parse = read_folder, .write = write_folder};

static const struct schema_member block_members[] = {
	{"cidr", &schema_prefix, SCHEMA_AT(struct lastknown_block, cidr), SCHEMA_REQUIRED},
	{"stateDir", &folder_type, SCHEMA_AT(struct lastknown_block, state_dir), SCHEMA_REQUIRED},
};
static const struct schema block_form = SCHEMA_OF(block_members);

#define POOL(field) SCHEMA_AT(struct mirror_pool, field)
static const struct schema_member pool_members[] = {
	{"name", &schema_text, POOL(name), .flags = SCHEMA_REQUIRED},
	{"cidr", &schema_prefix, POOL(pool.cidr)},
	{"blockSize", &schema_number, POOL(pool.block_len)},
	{"cooldownSeconds", &schema_number, POOL(pool.cooldown_s)},
	{"assigns", &schema_bool, POOL(assigns)},
};
static const struct schema pool_form = SCHEMA_OF(pool_members);
/* Of what is read; the pool module judges the rest, and sees only that. */
static const struct schema_member own_members[] = {
	{"name", &schema_text, POOL(name), .flags = SCHEMA_REQUIRED},
	{"assigns", &schema_bool, POOL(assigns)},
};
static const struct schema pool_own = SCHEMA_OF(own_members);

static int read_pools(const struct schema_at *at, void *out)
{
	struct mirror_pool *named = out;
	struct pool pools[POOL_MAX];
	const struct schema_reader anything = {.element = "must be", .e = at->reader->e};
	size_t *n = (size_t *)((char *)out - at->m->offset + at->m->count);
	CLEANUP_JSON json_t *list = json_deep_copy(at->value);
	if (json_is_array(at->value) && json_array_size(at->value) == 0)
		return 0;
	for (size_t i = 0; i < json_array_size(list) && i < POOL_MAX; i++) {
		json_t *o = json_array_get(list, i);
		const struct schema_at here = {&anything, at, NULL, i, o, NULL};
		int r = schema_read_object(&here, &pool_own, &named[i]);
		if (r < 0)
			return r;
		for (size_t k = 0; k < pool_own.n; k++)
			(void)json_object_del(o, pool_own.members[k].key); /* may be absent */
	}
	int r = pool_parse_list(list, "pools", POOL_COOLDOWN_S, pools, n, at->reader->e);
	for (size_t i = 0; r == 0 && i < *n; i++)
		named[i].pool = pools[i];
	return r;
}

static json_t *write_pools(const struct schema_member *m, const void *in)
{
	return schema_list.write(m, in);
}

/* Earlier versions refuse the file for a key that they do not know: it is there only when it has to be. */
static json_t *write_lent(const struct schema_member *m, const void *in)
{
	const size_t *n = (const size_t *)((const char *)in - m->offset + m->count);
	return *n ? schema_list.write(m, in) : NULL;
}

static int read_lent(const struct schema_at *at, void *out)
{
	return schema_list.read(at, out);
}

static const struct schema_type lent_type = {.read = read_lent, .write = write_lent};
static const struct schema_type pools_type = {.read = read_pools, .write = write_pools};

static const struct schema_member members[] = {
	{.key = "version", .type = &version_type},
	{"installation", &status_id, SCHEMA_AT(struct lastknown, installation), SCHEMA_REQUIRED},
	{"machine", &schema_text, SCHEMA_AT(struct lastknown, machine)},
	{"store", &store_type, SCHEMA_AT(struct lastknown, store_id)},
	{"node", &schema_name, SCHEMA_AT(struct lastknown, mirror.node),
		SCHEMA_REQUIRED | SCHEMA_EMPTY},
	{"blocks", &schema_heap, offsetof(struct lastknown, blocks), 0, SCHEMA_REQUIRED,
		.of = SCHEMA_ELEMENT(
			&schema_object, sizeof(struct lastknown_block), .schema = &block_form),
		.count = offsetof(struct lastknown, n_blocks)},
	{"pools", &pools_type, SCHEMA_AT(struct lastknown, mirror.pools), SCHEMA_REQUIRED,
		.of = SCHEMA_ELEMENT(
			&schema_object, sizeof(struct mirror_pool), .schema = &pool_form),
		.count = offsetof(struct lastknown, mirror.n_pools)},
	{"reserved", &schema_list, SCHEMA_AT(struct lastknown, mirror.reserved), SCHEMA_REQUIRED,
		.max = MIRROR_RESERVED, .of = SCHEMA_ELEMENT(&schema_prefix, sizeof(struct cidr)),
		.count = offsetof(struct lastknown, mirror.n_reserved)},
	{"lent", &lent_type, SCHEMA_AT(struct lastknown, mirror.lent), .max = MIRROR_LENT,
		.of = SCHEMA_ELEMENT(&schema_prefix, sizeof(struct cidr)),
		.count = offsetof(struct lastknown, mirror.n_lent)},
	{"mtu4", &schema_number, SCHEMA_AT(struct lastknown, mirror.mtu[IPV4]), .max = MTU_MAX},
	{"mtu6", &schema_number, SCHEMA_AT(struct lastknown, mirror.mtu[IPV6]), .max = MTU_MAX},
};
static const struct schema form = SCHEMA_OF(members);

char *lastknown_format(const struct lastknown *l)
{
	CLEANUP_JSON json_t *o = schema_write(&form, l);
	return json_dumps(o, JSON_INDENT(1));
}

static int read_document(const json_t *doc, struct lastknown *out, struct err *e)
{
	const struct schema_reader reader = {
		.unknown = schema_unknown, .element = "is not", .e = e};
	int64_t version = 0;
	if (!json_is_object(doc))
		return err_set(e, EBADMSG, "not an object");
	int r = json_get_number(doc, "", "version", INT64_MIN, INT64_MAX, &version, e);
	if (r >= 0 && version > VERSION)
		return err_set(e, EPROTONOSUPPORT,
			"it was written by a newer roost (version %lld, this one reads %d): run "
			"that "
			"one again, or a newer one",
			(long long)version, VERSION);
	if (r >= 0 && version != VERSION)
		return err_set(e, EBADMSG, "its version is not %d", VERSION);
	return r < 0 ? r : schema_read_as(&reader, &form, doc, out);
}

int lastknown_parse(const char *text, size_t len, struct lastknown *out, struct err *e)
{
	CLEANUP_FREE struct lastknown *l = mem_new(1, sizeof(*l));
	CLEANUP_JSON json_t *doc = NULL;
	int r = json_parse(text, len, &doc, e);
	if (r == 0)
		r = read_document(doc, l, e);
	if (r < 0) {
		lastknown_done(l);
		return r == -EPROTONOSUPPORT ? r : -EBADMSG;
	}
	*out = *l;
	return 0;
}

/* ---- The folder ---- */

static void path_of(const char *data_dir, const char *name, char out[PATH_ROOM])
{
	(void)snprintf(out, PATH_ROOM, "%.*s/%s", AGENT_CONF_PATH - 1, data_dir, name);
}

int lastknown_lock(const char *data_dir, struct err *e)
{
	char path[PATH_ROOM];
	int r = file_make_dir(data_dir, 0700, e);
	if (r < 0)
		return r;
	path_of(data_dir, "agent.lock", path);
	int fd = file_open(path, O_RDWR | O_CREAT, NULL, e);
	if (fd < 0)
		return fd;
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
	(void)file_sync_dir(data_dir, &ignored); /* if it comes back it is set aside again */
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
		return file_refuse(path, -errno, e);
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

int lastknown_store(const char *data_dir, const struct lastknown *l, struct err *e)
{
	char path[PATH_ROOM];
	path_of(data_dir, LASTKNOWN_FILE, path);
	CLEANUP_FREE char *text = lastknown_format(l);
	int r = file_make_dir(data_dir, 0700, e);
	return r < 0 ? r : file_replace(path, 0600, text, strlen(text), e);
}
