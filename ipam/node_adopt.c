/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a state does not know but the host shows: blocks of an earlier state of this boot (lost, or
 * set aside), and pods that live in them. And the opposite: giving idle blocks back.
 *
 * Adoption never frees anything. A block counts as ours when the block registry says that an
 * earlier state in this folder held it, or when the kernel has its blackhole route and no other
 * living state holds it; it is recorded as quarantined as a whole, since pods wired by other main
 * plugins cannot be seen. An address that one of our host links serves becomes used by the owner in
 * the link's label; it can then be released like any other. Who cannot look at the kernel
 * (roost-ipam) does the first half, and the state remembers that the second is missing. Doing it
 * again changes nothing.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipam/index_blocks.h"
#include "ipam/node.h"
#include "ipam/node_impl.h"
#include "lib/mem.h"
#include "lib/text.h"

struct registry {
	struct registry_entry *v;
	size_t n;
};

bool node_needs_adoption(const struct node *n, bool can_look)
{
	return n->meta.adoption < (can_look ? RECORD_ADOPTED : RECORD_ADOPTED_BLIND);
}

/* Whether another living state of this host holds any of it. */
static bool is_others(const struct registry *reg, const struct cidr *c)
{
	for (size_t i = 0; i < reg->n; i++)
		if (reg->v[i].holder == REGISTRY_OTHER && cidr_overlaps(&reg->v[i].block, c))
			return true;
	return false;
}

static int adopt_blocks(struct node *n, const struct registry *reg, const struct owned *kernel,
	int64_t wall_s, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < reg->n; i++)
		if (reg->v[i].here && reg->v[i].holder == REGISTRY_LOST)
			r = index_blocks_adopt(n->db, &reg->v[i].block, wall_s, e);
	for (size_t i = 0; r >= 0 && kernel && i < kernel->n_blocks; i++)
		if (!is_others(reg, &kernel->blocks[i]))
			r = index_blocks_adopt(n->db, &kernel->blocks[i], wall_s, e);
	return r < 0 ? r : 0;
}

/* The owner that a label names; pod (as large as the label's) gets "namespace\0name". */
static struct owner owner_of_label(const struct owned_label *l, char pod[256])
{
	struct owner o = owner_of(l->network, l->container, l->ifname);
	o.hash = l->owner; /* made from the whole container id, which the label may cut */
	(void)text_copy(pod, 256, l->pod);
	char *slash = strchr(pod, '/');
	if (slash) {
		*slash = '\0';
		o.pod_namespace = pod;
		o.pod_name = slash + 1;
	}
	return o;
}

/* One address that a live link serves. */
static int adopt_addr(struct node *n, const struct owned_label *label, const struct addr *a,
	int64_t wall_s, struct err *e)
{
	struct index_addr old;
	int r = index_get_addr(n->db, a, &old, e);
	if (r < 0 || (r == 1 && old.rec.state == RECORD_USED))
		return r < 0 ? r : 0;
	struct addr has;
	r = index_get_owner(n->db, &label->owner, a->family, &has, e);
	if (r < 0)
		return r;
	if (r == 1) /* a second address: nobody's release would free it */
		return index_hold(n->db, a, RECORD_QUARANTINED, wall_s, e);
	char pod[256];
	struct owner o = owner_of_label(label, pod);
	return index_use(n->db, a, &o, wall_s, e);
}

static int adopt_links(struct node *n, const struct registry *reg, const struct owned *kernel,
	int64_t wall_s, struct err *e)
{
	for (size_t i = 0; kernel && i < kernel->n_links; i++) {
		const struct owned_link *l = &kernel->links[i];
		for (size_t k = 0; k < l->n_addrs; k++) {
			struct cidr host = cidr_of_host(&l->addrs[k]);
			if (is_others(reg, &host))
				continue;
			int r = adopt_addr(n, &l->label, &l->addrs[k], wall_s, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* The state's own record; another process may have been faster than ours. */
static int put_adoption(
	struct node *n, enum record_adoption done, struct record_meta *out, struct err *e)
{
	struct record_key k = {.kind = RECORD_META};
	struct db_value v;
	int r = db_get(n->db, &k, &v, e);
	if (r < 0)
		return r;
	if (r == 0 || !record_meta_parse(v.bytes, v.len, out))
		return db_damage(n->db, e, "its own record is malformed");
	if (out->adoption < done)
		out->adoption = done;
	v.len = record_meta_format(out, v.bytes);
	return db_put(n->db, &k, &v, e);
}

/* After the commit: entries of lost states become entries of this one. */
static int take_entries(const struct registry_self *self, const struct registry *reg, struct err *e)
{
	for (size_t i = 0; i < reg->n; i++) {
		if (!reg->v[i].here || reg->v[i].holder != REGISTRY_LOST)
			continue;
		int r = registry_take(self, &reg->v[i].block, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Adopted blocks that only the kernel knew have no entry yet; one that is another's is not made. */
static int enter_blocks(const struct registry_self *self, const struct registry *reg,
	const struct owned *kernel, struct err *e)
{
	for (size_t i = 0; kernel && i < kernel->n_blocks; i++) {
		const struct cidr *block = &kernel->blocks[i];
		if (is_others(reg, block))
			continue;
		int r = registry_claim(self, block, block, e);
		if (r < 0 && r != -EBUSY)
			return r;
	}
	return 0;
}

int node_adopt(struct node *n, const struct owned *kernel, struct err *e)
{
	assert(n->mode != NODE_READ);
	struct registry_self self;
	CLEANUP_FREE struct registry_entry *entries = NULL;
	struct registry reg = {0};
	struct record_meta meta = n->meta;
	int64_t wall_s = boot_wall_s();
	int r = node_self(n, &self, e);
	if (r == 0)
		r = registry_list(&self, &entries, &reg.n, e);
	reg.v = entries;
	if (r == 0)
		r = db_begin(n->db, true, e);
	if (r < 0)
		return r;
	r = adopt_blocks(n, &reg, kernel, wall_s, e);
	if (r == 0)
		r = adopt_links(n, &reg, kernel, wall_s, e);
	if (r == 0)
		r = put_adoption(n, kernel ? RECORD_ADOPTED : RECORD_ADOPTED_BLIND, &meta, e);
	r = db_finish(n->db, r, e);
	if (r < 0)
		return r;
	n->meta = meta;
	r = take_entries(&self, &reg, e);
	return r < 0 ? r : enter_blocks(&self, &reg, kernel, e);
}

static int drop_idle(struct node *n, bool cold, struct cidr **out, size_t *count, struct err *e)
{
	uint64_t now_ns = cold ? UINT64_MAX : boot_now_ns();
	size_t room = 0;
	struct cidr at = INDEX_FIRST;
	struct index_block b;
	int r;
	while ((r = index_next_block(n->db, &at, &b, e)) == 1) {
		uint64_t before;
		if (b.rec.cluster || b.rec.disowned)
			continue; /* the agent's to return */
		r = index_blocks_cooled_before(n->db, &b, now_ns, &before, e);
		if (r == 0)
			r = index_blocks_is_idle(n->db, &b, before, e);
		if (r == 1) {
			*out = mem_grow(*out, &room, *count, sizeof(**out));
			(*out)[(*count)++] = b.cidr;
			r = index_blocks_drop(n->db, &b, e);
		}
		if (r < 0)
			return r;
	}
	return r;
}

/* Recorded pools without blocks say nothing any more. */
static int drop_empty_pools(struct node *n, struct err *e)
{
	struct cidr at = INDEX_FIRST, pool;
	struct record_pool rec;
	int r;
	while ((r = index_next_pool(n->db, &at, &pool, &rec, e)) == 1) {
		struct record_key k = {.kind = RECORD_POOL, .pool = pool};
		r = rec.blocks ? 0 : db_del(n->db, &k, e);
		if (r < 0)
			return r;
	}
	return r;
}

/* Entries of claims that were killed or made in vain. Nobody claims meanwhile. */
static int drop_vain_entries(struct node *n, const struct registry_self *self, struct err *e)
{
	CLEANUP_FREE struct registry_entry *v = NULL;
	size_t count = 0;
	int r = registry_list(self, &v, &count, e);
	if (r == 0)
		r = db_begin(n->db, false, e);
	size_t vain = 0;
	CLEANUP_FREE struct cidr *blocks = mem_new(count, sizeof(*blocks));
	for (size_t i = 0; r >= 0 && i < count; i++) {
		struct index_block b;
		if (v[i].holder != REGISTRY_OURS)
			continue;
		r = index_block_of(n->db, &v[i].block.addr, &b, e);
		if (r == 0 || (r == 1 && !cidr_equal(&b.cidr, &v[i].block)))
			blocks[vain++] = v[i].block;
	}
	db_abort(n->db);
	return r < 0 ? r : registry_drop(self, blocks, vain, e);
}

static int return_alone(struct node *n, bool cold, struct cidr **out, size_t *count, struct err *e)
{
	struct registry_self self;
	int r = node_self(n, &self, e);
	if (r == 0)
		r = db_begin(n->db, true, e);
	if (r == 0)
		r = drop_idle(n, cold, out, count, e);
	if (r == 0)
		r = drop_empty_pools(n, e);
	r = db_finish(n->db, r, e);
	return r < 0 ? r : drop_vain_entries(n, &self, e);
}

int node_return_blocks(struct node *n, bool cold, struct cidr **out, size_t *count, struct err *e)
{
	assert(n->mode != NODE_READ);
	CLEANUP_FREE struct cidr *blocks = NULL;
	size_t returned = 0;
	int r = node_lock_alone(n, e);
	if (r < 0)
		return r;
	r = return_alone(n, cold, &blocks, &returned, e);
	struct err again;
	int locked = node_lock_again(n, r < 0 ? &again : e);
	if (r < 0 || locked < 0)
		return r < 0 ? r : locked;
	*out = blocks;
	*count = returned;
	blocks = NULL;
	return 0;
}
