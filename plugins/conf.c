/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration from JSON. Top-level keys that are not ours belong to the CNI specification, to the
 * runtime or to nobody: ignored, as the specification demands. The objects "ipam" (when it is
 * ours), its pools and "log" are ours alone: an unknown key there is a typing error that would
 * otherwise show at the worst moment, so it is refused by name.
 */
#include "plugins/conf.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cni_args.h"
#include "lib/json.h"
#include "lib/text.h"
#include "plugins/portmap.h"

#define LOG_MB_CALICO 100 /* log_file_max_size, unless it is given */
#define LOG_MB_MAX 1048576

static int conf_read_path(
	const json_t *object, const char *where, const char *key, char out[256], struct err *e)
{
	const char *s = NULL;
	int r = json_get_string(object, where, key, &s, e);
	if (r <= 0 || !*s)
		return r < 0 ? r : 0;
	if (s[0] != '/' || !text_copy(out, 256, s))
		return err_set(e, EINVAL,
			"%s%s%s \"%.60s\" is not an absolute path of at most 255 bytes", where,
			*where ? "." : "", key, s);
	return 1;
}

/* A level in any case; Calico's templates write "Info". */
static int conf_read_level(const json_t *object, const char *where, const char *key,
	enum log_level *out, struct err *e)
{
	const char *s = NULL;
	char lower[16] = "";
	int r = json_get_string(object, where, key, &s, e);
	if (r <= 0)
		return r;
	(void)text_copy(lower, sizeof(lower), s);
	for (char *c = lower; *c; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
	if (log_parse_level(lower, out) < 0)
		return err_set(e, EINVAL,
			"%s%s%s \"%.40s\" is not one of error, warning, info, debug", where,
			*where ? "." : "", key, s);
	return 1;
}

/* Calico's keys; "log" wins over them. */
static int conf_read_calico_log(const json_t *doc, struct conf *c, struct err *e)
{
	int64_t megabytes = LOG_MB_CALICO;
	int r = conf_read_level(doc, "", "log_level", &c->log_level, e);
	if (r >= 0)
		r = json_get_number(doc, "", "log_file_max_size", 0, LOG_MB_MAX, &megabytes, e);
	if (r >= 0)
		r = conf_read_path(doc, "", "log_file_path", c->log_file, e);
	c->makes_log_folder = r > 0;
	if (r > 0)
		c->log_file_bytes = (uint64_t)megabytes << 20;
	return r < 0 ? r : 0;
}

static int conf_read_log(const json_t *doc, struct conf *c, struct err *e)
{
	static const char *const known[] = {"level", "file", NULL};
	json_t *log = NULL;
	int r = conf_read_calico_log(doc, c, e);
	if (r >= 0)
		r = json_get_object(doc, "", "log", &log, e);
	if (r <= 0)
		return r;
	r = json_check_keys(log, "log", known, e);
	if (r >= 0)
		r = conf_read_level(log, "log", "level", &c->log_level, e);
	if (r >= 0)
		r = conf_read_path(log, "log", "file", c->log_file, e);
	if (r > 0) {
		c->makes_log_folder = false;
		c->log_file_bytes = 0;
	}
	return r < 0 ? r : 0;
}

static int conf_read_forwarding(const json_t *doc, struct conf *c, struct err *e)
{
	json_t *settings = NULL;
	int r = json_get_object(doc, "", "container_settings", &settings, e);
	if (r > 0)
		r = json_get_bool(
			settings, "container_settings", "allow_ip_forwarding", &c->forwarding, e);
	return r < 0 ? r : json_get_bool(doc, "", "allowIPForwarding", &c->forwarding, e);
}

static int conf_read_mtu(const json_t *doc, struct conf *c, struct err *e)
{
	int64_t mtu = 0;
	int r = json_get_number(doc, "", "mtu", 0, 65535, &mtu, e);
	if (r < 0)
		return r;
	if (mtu && mtu < CONF_MTU_MIN)
		return err_set(e, EINVAL, "mtu %d is less than %d", (int)mtu, CONF_MTU_MIN);
	c->mtu = (uint32_t)mtu;
	return 0;
}

static int conf_read_prefix(const json_t *doc, struct conf *c, struct err *e)
{
	const char *s = NULL;
	int r = json_get_string(doc, "", "hostInterfacePrefix", &s, e);
	if (r <= 0)
		return r;
	if (!text_is_ifname(s) || !text_copy(c->prefix, sizeof(c->prefix), s))
		return err_set(e, EINVAL,
			"hostInterfacePrefix \"%.40s\" is not an interface name of at most %d "
			"bytes",
			s, OWNED_PREFIX_MAX);
	return 0;
}

/* Adds an address to a list of at most one of a family. */
static int conf_add_address(
	const json_t *value, const char *where, struct addr list[2], size_t *n, struct err *e)
{
	if (!json_is_string(value))
		return err_set(e, EBADMSG, "%s must be an address in text", where);
	struct addr a;
	int r = addr_parse(json_string_value(value), &a, e);
	if (r < 0) {
		err_add(e, "%s", where);
		return r;
	}
	for (size_t i = 0; i < *n; i++)
		if (list[i].family == a.family)
			return err_set(e, EINVAL, "%s names two addresses of one family", where);
	list[(*n)++] = a;
	return 0;
}

static int conf_read_addresses(
	const json_t *ipam, const char *key, struct addr list[2], size_t *n, struct err *e)
{
	char where[64];
	struct text t = TEXT_ON(where);
	text_add(&t, "ipam.%s", key);
	const json_t *value = json_object_get(ipam, key);
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_array(value))
		return conf_add_address(value, where, list, n, e);
	size_t i;
	const json_t *one;
	json_array_foreach (value, i, one) {
		int r = conf_add_address(one, where, list, n, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int conf_read_pool_names(const json_t *pools, struct conf *c, struct err *e)
{
	size_t i;
	const json_t *one;
	json_array_foreach (pools, i, one) {
		char where[32];
		struct text t = TEXT_ON(where);
		text_add(&t, "ipam.pools[%zu]", i);
		const char *name = NULL;
		int r = json_get_string(one, where, "name", &name, e);
		if (r < 0)
			return r;
		if (r > 0 && (!text_is_dns_name(name) ||
				     !text_copy(c->pool_names[i], CONF_POOL_NAME, name)))
			return err_set(e, EINVAL,
				"%s.name \"%.80s\" is not a name in lower case of at most %d bytes",
				where, name, CONF_POOL_NAME - 1);
	}
	return 0;
}

static int conf_read_pools(const json_t *ipam, struct conf *c, struct err *e)
{
	int64_t cooldown = POOL_COOLDOWN_S;
	int rests = json_get_number(
		ipam, "ipam", "cooldownSeconds", 0, POOL_COOLDOWN_MAX_S, &cooldown, e);
	json_t *pools = NULL;
	int r = rests < 0 ? rests : json_get_array(ipam, "ipam", "pools", &pools, e);
	if (r < 0)
		return r;
	c->cluster = r == 0;
	if (c->cluster && rests)
		return err_set(e, EINVAL,
			"ipam.cooldownSeconds is without ipam.pools: the cluster says how long "
			"addresses rest");
	if (c->cluster)
		return 0;
	if (json_array_size(pools) == 0)
		return err_set(e, EINVAL,
			"ipam.pools is empty: name a pool, or leave it out on a node of a cluster");
	r = pool_parse_list(pools, "ipam.pools", (uint32_t)cooldown, c->pools, &c->n_pools, e);
	return r < 0 ? r : conf_read_pool_names(pools, c, e);
}

/* Calico writes these as text. */
static int conf_read_assign(
	const json_t *ipam, const char *key, enum conf_assign *out, struct err *e)
{
	const json_t *value = json_object_get(ipam, key);
	const char *text = json_string_value(value);
	if (!value || json_is_null(value) || (text && !*text))
		return 0;
	if (json_is_true(value) || (text && strcmp(text, "true") == 0))
		*out = CONF_ASSIGN_YES;
	else if (json_is_false(value) || (text && strcmp(text, "false") == 0))
		*out = CONF_ASSIGN_NO;
	else
		return err_set(e, EBADMSG, "ipam.%s must be true or false, not %s", key,
			text ? text : json_type_text(value));
	return 0;
}

static int conf_read_chosen(const json_t *ipam, const char *key, const json_t **out, struct err *e)
{
	json_t *list = NULL;
	int r = json_get_array(ipam, "ipam", key, &list, e);
	size_t i;
	const json_t *one;
	json_array_foreach (list, i, one) {
		const char *text = json_string_value(one);
		if (!text || !cni_args_is_pool(text))
			return err_set(e, EINVAL,
				"ipam.%s: \"%.60s\" is not a prefix or the name of a pool", key,
				text ? text : json_type_text(one));
	}
	if (r > 0 && json_array_size(list))
		*out = list;
	return r < 0 ? r : 0;
}

static int conf_read_families(const json_t *ipam, struct conf *c, struct err *e)
{
	static const char *const assign[FAMILIES] = {"assign_ipv4", "assign_ipv6"};
	static const char *const chosen[FAMILIES] = {"ipv4_pools", "ipv6_pools"};
	int r = 0;
	for (enum family f = IPV4; f < FAMILIES && r >= 0; f++) {
		r = conf_read_assign(ipam, assign[f], &c->assign[f], e);
		if (r >= 0)
			r = conf_read_chosen(ipam, chosen[f], &c->chosen[f], e);
	}
	if (r >= 0 && c->assign[IPV4] == CONF_ASSIGN_NO && c->assign[IPV6] == CONF_ASSIGN_NO)
		return err_set(e, EINVAL,
			"ipam.assign_ipv4 and ipam.assign_ipv6 are both false: a pod would have no "
			"address");
	return r;
}

static int conf_read_own_ipam(const json_t *ipam, struct conf *c, struct err *e)
{
	static const char *const known[] = {"type", "pools", "gateway", "addresses",
		"cooldownSeconds", "stateDir", "assign_ipv4", "assign_ipv6", "ipv4_pools",
		"ipv6_pools", NULL};
	int r = json_check_keys(ipam, "ipam", known, e);
	if (r >= 0)
		r = conf_read_pools(ipam, c, e);
	if (r >= 0)
		r = conf_read_families(ipam, c, e);
	if (r >= 0)
		r = conf_read_addresses(ipam, "gateway", c->gateways, &c->n_gateways, e);
	if (r >= 0)
		r = conf_read_addresses(ipam, "addresses", c->addresses, &c->n_addresses, e);
	return r;
}

static int conf_read_ipam_type(const json_t *ipam, struct conf *c, struct err *e)
{
	const char *type = NULL;
	int r = json_get_string(ipam, "ipam", "type", &type, e);
	if (r < 0)
		return r;
	if (r == 0 || !*type)
		return err_set(e, EINVAL, "ipam.type is missing");
	if (strchr(type, '/') || strcmp(type, "..") == 0 || strcmp(type, ".") == 0 ||
		!text_copy(c->ipam_type, sizeof(c->ipam_type), type))
		return err_set(e, EINVAL, "ipam.type \"%.60s\" is not a plugin name", type);
	c->in_process = strcmp(type, CONF_IPAM_TYPE) == 0;
	return 0;
}

static int conf_read_ipam(const json_t *doc, enum conf_depth depth, struct conf *c, struct err *e)
{
	json_t *ipam = NULL;
	int r = json_get_object(doc, "", "ipam", &ipam, e);
	if (r == 0)
		r = err_set(e, EINVAL, "ipam is missing");
	if (r >= 0)
		r = conf_read_ipam_type(ipam, c, e);
	if (r < 0 || !c->in_process)
		return r;
	r = conf_read_path(ipam, "ipam", "stateDir", c->state_dir, e);
	return r < 0 || depth == CONF_FIND ? r : conf_read_own_ipam(ipam, c, e);
}

static struct conf conf_defaults(void)
{
	return (struct conf){
		.state_dir = CONF_STATE_DIR,
		.prefix = "roost",
		.log_level = LOG_LEVEL_WARNING,
	};
}

int conf_parse_ipam(const json_t *doc, enum conf_depth depth, struct conf *out, struct err *e)
{
	struct conf c = conf_defaults();
	json_t *ipam = NULL;
	int r = conf_read_path(doc, "", "stateDir", c.state_dir, e);
	if (r >= 0)
		r = json_get_object(doc, "", "ipam", &ipam, e);
	if (r == 0 && !ipam)
		r = err_set(e, EINVAL, "ipam is missing");
	if (r >= 0)
		r = conf_read_path(ipam, "ipam", "stateDir", c.state_dir, e);
	if (r >= 0 && depth == CONF_FULL)
		r = conf_read_own_ipam(ipam, &c, e);
	if (r < 0)
		return r;
	*out = c;
	return 0;
}

static int conf_read_labels(const json_t *doc, struct conf *c, struct err *e)
{
	json_t *labels = NULL;
	const char *key;
	json_t *value;
	int r = json_get_object(doc, "", "labels", &labels, e);
	json_object_foreach (labels, key, value)
		if (!json_is_string(value))
			return err_set(e, EINVAL, "labels.%.60s must be a string", key);
	c->labels = labels;
	return r;
}

/* Calico's key: whoever asks for policies gets no pods that are open to all. */
static int conf_read_policy(const json_t *doc, const struct conf *c, struct err *e)
{
	const json_t *policy = json_object_get(doc, "policy");
	const char *type = json_string_value(json_object_get(policy, "type"));
	if (!type || !*type || strcmp(type, "none") == 0 || !c->in_process || c->cluster)
		return 0;
	return err_set(e, EOPNOTSUPP,
		"policy.type \"%.40s\" is not supported with ipam.pools: roostd enforces network "
		"policies, and gives the pools of such a node",
		type);
}

static int conf_read_wiring(const json_t *doc, struct conf *c, struct err *e)
{
	int r = conf_read_log(doc, c, e);
	if (r >= 0)
		r = conf_read_mtu(doc, c, e);
	if (r >= 0)
		r = conf_read_prefix(doc, c, e);
	if (r >= 0)
		r = conf_read_forwarding(doc, c, e);
	if (r >= 0)
		r = json_get_bool(doc, "", "include_default_routes", &c->default_routes, e);
	if (r >= 0)
		r = bandwidth_read(doc, "", &c->limits, e);
	c->has_limits = r > 0;
	if (r >= 0)
		r = conf_read_labels(doc, c, e);
	return r < 0 ? r : conf_read_policy(doc, c, e);
}

int conf_parse(const json_t *doc, enum conf_depth depth, struct conf *out, struct err *e)
{
	struct conf c = conf_defaults();
	int r = conf_read_path(doc, "", "stateDir", c.state_dir, e);
	if (r >= 0)
		r = conf_read_ipam(doc, depth, &c, e);
	if (r < 0 && depth == CONF_FIND) {
		/* Enough to clean up by the label and in the usual place. */
		c.in_process = c.in_process || !c.ipam_type[0];
		*out = c;
	}
	if (r < 0)
		return r;
	r = conf_read_wiring(doc, &c, e);
	if (r >= 0)
		r = calico_check(doc, e);
	if (r >= 0)
		r = portmap_check(doc, e);
	if (r < 0 && depth == CONF_FULL)
		return r;
	calico_list_ignored(doc, c.ignored);
	*out = c;
	return 0;
}

const struct addr *conf_gateway(const struct conf *c, uint8_t family)
{
	for (size_t i = 0; i < c->n_gateways; i++)
		if (c->gateways[i].family == family)
			return &c->gateways[i];
	return NULL;
}

bool conf_has_pool(const struct conf *c, uint8_t family)
{
	bool found = false;
	for (size_t i = 0; i < c->n_pools; i++)
		found |= c->pools[i].cidr.addr.family == family;
	return found && c->assign[family_of(family)] != CONF_ASSIGN_NO;
}

const struct bandwidths *conf_limits(const struct conf *c, const struct cni_wishes *w)
{
	return c->has_limits ? &c->limits : &w->limits;
}
