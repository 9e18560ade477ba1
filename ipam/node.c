/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening the node state, and the simple calls. The folder (0700) holds
 *
 * 	lock                        flock: shared for use, exclusive for GC, repair and new files
 * 	node-<boot id>.mdb, -lock   the state of this boot, and LMDB's own lock file
 * 	node-<boot id>.mdb.new      a state being made; renamed when it is complete
 * 	node-<boot id>.mdb.damaged-TIME   one that was set aside
 * 	fault                       the mark that reading the state ended in a fault
 *
 * The common case (folder, lock and a sound file are there) takes the lock, looks at the file,
 * maps it. Anything else is mended with the exclusive lock, and then looked at again from the
 * start: while we waited, another process may have done it. So every file another process can
 * see under the final name is complete, and nobody has it open when it is renamed.
 *
 * A file of another boot is never opened: its pods are gone with that boot. It is removed when
 * the first file of this boot is made.
 */
#include "ipam/node.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipam/index_limits.h"
#include "ipam/index_ports.h"
#include "ipam/messages.h"
#include "ipam/node_impl.h"
#include "lib/file.h"
#include "lib/lock.h"
#include "lib/mem.h"
#include "lib/text.h"

#define ATTEMPTS 8 /* looks at the file before giving up */
#define PATH_ROOM (PATH_MAX + 128)

static void state_path(const struct node *n, const char *suffix, char out[PATH_ROOM])
{
	(void)snprintf(out, PATH_ROOM, "%s/node-%s.mdb%s", n->dir, n->boot, suffix);
}

void node_fault_mark(const char *dir, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/fault", dir);
}

const char *node_set_aside(const struct node *n)
{
	return n->set_aside;
}

int node_self(struct node *n, struct registry_self *out, struct err *e)
{
	if (!*n->absolute && !realpath(n->dir, n->absolute))
		return err_set(e, errno, "cannot resolve %s: %s", n->dir, strerror(errno));
	*out = (struct registry_self){
		.root = n->registry_root, .boot = n->boot, .dir = n->absolute, .id = n->meta.id};
	return 0;
}

static void lock_path(const struct node *n, char out[PATH_ROOM])
{
	(void)snprintf(out, PATH_ROOM, "%s/lock", n->dir);
}

static enum lock_kind kind_of_lock(enum node_mode mode)
{
	return mode == NODE_EXCLUSIVE ? LOCK_ALONE
	       : mode == NODE_AGENT   ? LOCK_AT_ONCE
				      : LOCK_SHARED;
}

int node_lock_alone(struct node *n, struct err *e)
{
	char path[PATH_ROOM];
	lock_path(n, path);
	return lock_change(n->lock, path, LOCK_ALONE, e);
}

int node_lock_again(struct node *n, struct err *e)
{
	char path[PATH_ROOM];
	lock_path(n, path);
	return n->mode == NODE_EXCLUSIVE ? 0 : lock_change(n->lock, path, LOCK_SHARED, e);
}

static int node_take_lock(struct node *n, struct err *e)
{
	char path[PATH_ROOM];
	lock_path(n, path);
	enum lock_kind kind = kind_of_lock(n->mode);
	/* A look makes nothing, not even the lock. */
	if (n->mode == NODE_READ && access(path, F_OK) < 0 && errno == ENOENT)
		return err_set(e, ENOENT, "there is no node state in %s", n->dir);
	int r = lock_take(path, kind, e);
	if (r == -ENOENT && n->mode != NODE_READ) {
		r = file_make_dir(n->dir, 0700, e);
		if (r == 0)
			r = lock_take(path, kind, e);
	}
	if (r == -ENOENT)
		return err_set(e, ENOENT, "there is no node state in %s", n->dir);
	if (r < 0)
		return r;
	n->lock = r;
	return 0;
}

/* Something of the mark's name that is none (a folder, a link) would stand for ever: it gets another. */
static int clear_false_mark(const char *mark, const struct stat *st, struct err *e)
{
	char aside[PATH_ROOM + 32];
	if (S_ISREG(st->st_mode))
		return 1;
	(void)snprintf(aside, sizeof(aside), "%s.not-ours-%" PRIu64, mark, boot_now_ns());
	if (rename(mark, aside) < 0 && errno != ENOENT)
		return err_set(e, errno, "%s is no file, and cannot be set aside: %s", mark,
			strerror(errno));
	return 0;
}

/* 1: an earlier process left the mark. */
static int has_mark(const struct node *n, struct err *e)
{
	char mark[PATH_ROOM];
	struct stat st;
	node_fault_mark(n->dir, mark, sizeof(mark));
	if (lstat(mark, &st) == 0)
		return clear_false_mark(mark, &st, e);
	return errno == ENOENT ? 0
			       : err_set(e, errno, "cannot look at %s: %s", mark, strerror(errno));
}

/* LMDB would follow a link in the place of its lock file, and write there. */
static bool is_lock_sound(const char *path)
{
	char lock[PATH_ROOM + 8];
	struct stat st;
	(void)snprintf(lock, sizeof(lock), "%s-lock", path);
	return lstat(lock, &st) < 0 || (S_ISREG(st.st_mode) && st.st_nlink == 1);
}

/* The look at the file; a mark of a fault makes it a damaged one. */
static int check_file(const struct node *n, enum db_look *out, struct err *e)
{
	char path[PATH_ROOM];
	state_path(n, "", path);
	int r = db_look(path, out, e);
	if (r < 0 || *out == DB_DAMAGED)
		return r;
	r = has_mark(n, e);
	if (r < 0 || *out == DB_ABSENT)
		return r < 0 ? r : 0;
	if (r == 1)
		(void)err_set(e, EUCLEAN, "%s is damaged: reading it ended in a fault", path);
	else if (!is_lock_sound(path))
		(void)err_set(e, EUCLEAN, "%s is damaged: its lock is no plain file", path);
	else
		return 0;
	*out = DB_DAMAGED;
	return 0;
}

static void remove_pair(const char *path)
{
	char lock[PATH_ROOM + 8];
	(void)snprintf(lock, sizeof(lock), "%s-lock", path);
	(void)unlink(path);
	(void)unlink(lock);
}

/* Renames the file and its lock file to a name that is free; the mark of the fault goes last. */
static int set_file_aside(struct node *n, struct err *e)
{
	char from[PATH_ROOM];
	char now[32];
	state_path(n, "", from);
	boot_format_time(boot_wall_s(), now);
	char to[PATH_ROOM + 64];
	for (int i = 0; i == 0 || access(to, F_OK) == 0; i++) {
		char count[16] = "";
		if (i)
			(void)snprintf(count, sizeof(count), "-%d", i);
		(void)snprintf(to, sizeof(to), "%s.damaged-%s%s", from, now, count);
	}
	if (rename(from, to) < 0)
		return err_set(
			e, errno, "cannot set the damaged %s aside: %s", from, strerror(errno));
	char lock[PATH_ROOM + 8];
	char lock_to[PATH_ROOM + 80];
	(void)snprintf(lock, sizeof(lock), "%s-lock", from);
	(void)snprintf(lock_to, sizeof(lock_to), "%s-lock", to);
	(void)rename(lock, lock_to);
	free(n->set_aside);
	n->set_aside = mem_strdup(to);
	return 0;
}

static void remove_other_boots(const struct node *n)
{
	DIR *d = opendir(n->dir);
	if (!d)
		return;
	for (struct dirent *f; (f = readdir(d));) {
		const char *boot = f->d_name + strlen("node-");
		if (strncmp(f->d_name, "node-", strlen("node-")) != 0 || !strstr(boot, ".mdb"))
			continue;
		if (strncmp(boot, n->boot, BOOT_ID_TEXT - 1) != 0)
			(void)unlinkat(dirfd(d), f->d_name, 0);
	}
	(void)closedir(d);
}

/* With the exclusive lock: whatever is there makes way for a new, complete file. */
static int begin_new(struct node *n, enum db_look found, struct err *e)
{
	int r = found == DB_DAMAGED ? set_file_aside(n, e) : 0;
	if (r < 0)
		return r;
	char path[PATH_ROOM];
	char fresh[PATH_ROOM];
	char mark[PATH_ROOM];
	state_path(n, "", path);
	state_path(n, ".new", fresh);
	node_fault_mark(n->dir, mark, sizeof(mark));
	(void)unlink(mark);
	remove_pair(path);
	remove_pair(fresh);
	remove_other_boots(n);
	struct record_meta meta = {.id = boot_now_ns()};
	memcpy(meta.boot, n->boot, sizeof(meta.boot));
	r = db_create(fresh, &meta, e);
	if (r < 0) {
		remove_pair(fresh); /* what there is of it takes room */
		return r;
	}
	/* With its lock file, which has all its pages. */
	char fresh_lock[PATH_ROOM + 8];
	char lock[PATH_ROOM + 8];
	(void)snprintf(fresh_lock, sizeof(fresh_lock), "%s-lock", fresh);
	(void)snprintf(lock, sizeof(lock), "%s-lock", path);
	if (rename(fresh_lock, lock) < 0)
		return file_refuse(lock, -errno, e);
	if (rename(fresh, path) < 0)
		return err_set(e, errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

static int open_db(struct node *n, bool read_only, struct err *e)
{
	char path[PATH_ROOM];
	char mark[PATH_ROOM];
	state_path(n, "", path);
	node_fault_mark(n->dir, mark, sizeof(mark));
	int r = db_open(&n->db, path, mark, read_only, &n->meta, e);
	if (r == 0 && strcmp(n->meta.boot, n->boot) != 0) {
		r = db_damage(n->db, e, "it is of another boot");
		db_close(n->db);
		n->db = NULL;
	}
	return r;
}

int node_reopen(struct node *n, struct err *e)
{
	if (n->mode != NODE_READ)
		return 0;
	db_close(n->db);
	n->db = NULL;
	return open_db(n, false, e);
}

/* NODE_READ found no sound file: nothing is mended. */
static int cannot_read(const struct node *n, enum db_look found, struct err *e)
{
	if (found != DB_DAMAGED)
		return err_set(e, ENOENT, "there is no node state of this boot in %s", n->dir);
	err_details(e, "the next ADD, DEL or GC, or `roostctl ipam check --repair`, sets it aside "
		       "and rebuilds it from the kernel");
	return -EUCLEAN;
}

/* One look, and the next step from it: 0 when the file is open, 1 to look again. */
static int try_open(struct node *n, bool *alone, struct err *e)
{
	enum db_look found;
	int r = check_file(n, &found, e);
	if (r < 0)
		return r;
	bool wanted_alone = n->mode == NODE_EXCLUSIVE;
	if (found == DB_SOUND && *alone != wanted_alone) {
		*alone = wanted_alone;
		r = node_lock_again(n, e);
		return r < 0 ? r : 1;
	}
	if (found == DB_SOUND) {
		r = open_db(n, n->mode == NODE_READ, e);
		return r == -EUCLEAN && n->mode != NODE_READ ? 1 : r;
	}
	if (n->mode == NODE_READ && (*alone || found != DB_DAMAGED))
		return cannot_read(n, found, e);
	if (!*alone) {
		*alone = true;
		r = node_lock_alone(n, e);
		return r < 0 ? r : 1;
	}
	r = begin_new(n, found, e);
	return r < 0 ? r : 1;
}

int node_open(struct node **out, const char *dir, enum node_mode mode, struct err *e)
{
	struct node *n = mem_new(1, sizeof(*n));
	n->lock = -1;
	n->mode = mode;
	n->registry_root = REGISTRY_ROOT;
	int r = 0;
	if (!text_copy(n->dir, sizeof(n->dir), dir))
		r = err_set(e, ENAMETOOLONG, "the path of the state folder is too long");
	if (r == 0)
		r = boot_id(n->boot, e);
	if (r == 0)
		r = node_take_lock(n, e);
	bool alone = mode == NODE_EXCLUSIVE;
	for (int i = 0; r == 0 && !n->db; i++) {
		r = try_open(n, &alone, e);
		if (r == 1)
			r = i < ATTEMPTS
				    ? 0
				    : err_set(e, EUCLEAN, "cannot make a sound state in %s", dir);
	}
	if (r < 0) {
		node_close(n);
		return r;
	}
	*out = n;
	return 0;
}

void node_close(struct node *n)
{
	if (!n)
		return;
	db_close(n->db);
	if (n->lock >= 0)
		(void)close(n->lock);
	free(n->set_aside);
	free(n);
}

int node_check_room(const char *dir, struct err *e)
{
	return file_check_room(dir, DB_BIRTH_BYTES, DB_BIRTH_FILES, e);
}

int node_lock_owner(struct node *n, const struct hash *owner, struct err *e)
{
	return lock_slot(n->lock, hash_slot(owner), e);
}

int node_try_lock_owner(struct node *n, const struct hash *owner, struct err *e)
{
	return lock_try_slot(n->lock, hash_slot(owner), e);
}

/* The block of an address; one in no block counts as its own. */
static int lease_of(struct db *db, const struct addr *a, struct node_lease *out, struct err *e)
{
	struct index_block b;
	int r = index_block_of(db, a, &b, e);
	if (r < 0)
		return r;
	*out = (struct node_lease){
		.addr = *a, .block = r ? b.cidr : cidr_of_host(a), .was_ours = true};
	return 0;
}

int node_find(struct node *n, const struct hash *owner, struct node_leases *out, struct err *e)
{
	struct node_leases found = {0};
	int r = db_begin(n->db, false, e);
	for (enum family f = IPV4; r >= 0 && f < FAMILIES; f++) {
		struct addr a;
		r = index_get_owner(n->db, owner, family_af(f), &a, e);
		struct index_addr rec;
		if (r == 1)
			r = index_get_addr(n->db, &a, &rec, e);
		if (r == 1) {
			found.netns = rec.rec.owner.netns;
			r = lease_of(n->db, &a, &found.v[found.n++], e);
		}
	}
	db_abort(n->db);
	if (r < 0)
		return r;
	*out = found;
	return (int)found.n;
}

int node_ports(struct node *n, const struct hash *owner, struct port **out, struct err *e)
{
	int r = db_begin(n->db, false, e);
	if (r >= 0)
		r = index_ports_get(n->db, owner, out, e);
	db_abort(n->db);
	return r;
}

int node_put_ports(struct node *n, const struct hash *owner, const struct port *ports,
	size_t n_ports, struct err *e)
{
	int r = db_begin(n->db, true, e);
	return r < 0 ? r : db_finish(n->db, index_ports_put(n->db, owner, ports, n_ports, e), e);
}

int node_get_limits(struct node *n, const struct hash *owner, struct bandwidths *out, struct err *e)
{
	int r = db_begin(n->db, false, e);
	if (r >= 0)
		r = index_limits_get(n->db, owner, out, e);
	db_abort(n->db);
	return r;
}

int node_put_limits(
	struct node *n, const struct hash *owner, const struct bandwidths *limits, struct err *e)
{
	int r = db_begin(n->db, true, e);
	return r < 0 ? r : db_finish(n->db, index_limits_put(n->db, owner, limits, e), e);
}

int node_release(struct node *n, const struct hash *owners, size_t count, struct err *e)
{
	assert(n->mode != NODE_READ);
	struct index_time t = node_time();
	int freed = 0;
	int r = db_begin(n->db, true, e);
	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < count * FAMILIES; i++) {
		struct addr a;
		r = index_get_owner(n->db, &owners[i / FAMILIES], family_af(i % FAMILIES), &a, e);
		if (r == 1) {
			r = index_release(n->db, &a, &t, e);
			freed++;
		}
	}
	return db_finish(n->db, r < 0 ? r : freed, e);
}

static int not_taken(const struct addr *a, const char *why, struct err *e)
{
	char text[ADDR_TEXT];
	addr_format(a, text);
	return err_set(e, ENOENT, "address %s is not taken: %s", text, why);
}

static int release_addr(struct db *db, const struct addr *a, struct err *e)
{
	struct index_addr old;
	struct index_block b;
	int r = index_block_of(db, a, &b, e);
	if (r < 0)
		return r;
	bool quarantined = r == 1 && b.rec.quarantined;
	bool in_block = r == 1;
	r = index_get_addr(db, a, &old, e);
	if (r < 0)
		return r;
	if (r == 0 && !quarantined)
		return not_taken(a,
			in_block ? "it was never given to anybody"
				 : "it is in no block of this node",
			e);
	if (r == 1 && old.rec.state == RECORD_RELEASED)
		return not_taken(a, "it was released already", e);
	if (r == 1 && old.rec.state == RECORD_LENT)
		return messages_taken(a, &old.rec, e);
	struct index_time t = node_time();
	return index_release(db, a, &t, e);
}

int node_release_addr(struct node *n, const struct addr *a, struct err *e)
{
	assert(n->mode != NODE_READ);
	int r = db_begin(n->db, true, e);
	return r < 0 ? r : db_finish(n->db, release_addr(n->db, a, e), e);
}
