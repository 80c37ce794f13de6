-- How much of a deployment's capacity is used: its provider's limits on requests and tokens, and on
-- requests at once; and who waits for it, in which order.
--
-- KEYS[1]  the last minute's requests: a sorted set of ids by when they were taken, in ms
-- KEYS[2]  a hash of
--            s        the last minute's tokens
--            m:<id>   what one of the last minute's requests counts there
--            d        the day (Unix time / 86,400 s), with its requests r and tokens t
--            h:<id>   a request that runs: "day tokens", as they were reserved
--            u        when the most urgent (rank 0) were last here, in ms
-- KEYS[3]  the requests that run, where so many at once are a limit: a sorted set of ids by when
--          their lease ends, in ms.  A process that lives renews it.
-- KEYS[4]  who waits: a sorted set of "rank since tokens id" by until when, in ms; ranks are a
--          digit, the most urgent lowest, and since is 13 digits of ms: so they sort as they queue
-- ARGV     operation, a test's clock in ms or 0, then the operation's own.
--
-- A minute is the last 61 seconds, whenever they begin: a provider counts a request when it gets
-- there, a moment after it was taken here, and may count by sliding windows itself.
-- Every operation is safe to repeat.

local taken, hash, running, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local MINUTE_MS = 61000
local DAY_MS = 86400000
local LEASE_MS = 30000
local KEEP_SECONDS = 172800
local URGENT_MS = 600000  -- so long after the most urgent came, a part is kept for more of them
local KEPT_PART = 5

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[2] ~= '0' then now = tonumber(ARGV[2]) end
local day = math.floor(now / DAY_MS)

local function number(field) return tonumber(redis.call('HGET', hash, field) or 0) end

local function let_go()  -- of what is older than a minute, of yesterday, and of the dead
  redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
  redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', taken, '-inf', now - MINUTE_MS)) do
    redis.call('HINCRBY', hash, 's', -number('m:' .. id))
    redis.call('HDEL', hash, 'm:' .. id)
    redis.call('ZREM', taken, id)
  end
  if number('d') < day then
    for _, field in ipairs(redis.call('HKEYS', hash)) do  -- once a day
      if string.sub(field, 1, 2) == 'h:' then redis.call('HDEL', hash, field) end
    end
    redis.call('HSET', hash, 'd', day, 'r', 0, 't', 0)
  end
end

-- The milliseconds until as many of the oldest are a minute old as `enough` asks for.
local function until_gone(enough)
  local oldest, freed = redis.call('ZRANGE', taken, 0, -1, 'WITHSCORES'), 0
  for i = 1, #oldest, 2 do
    freed = freed + number('m:' .. oldest[i])
    if enough((i + 1) / 2, freed) then return tonumber(oldest[i + 1]) + MINUTE_MS - now end
  end
  return -1
end

-- Who is in front of this place in the queue: how many, and the tokens that they need.
local function in_front(place)
  local count, tokens = 0, 0
  for _, other in ipairs(redis.call('ZRANGE', waiting, 0, -1)) do
    if other < place then
      count = count + 1
      tokens = tokens + tonumber(string.match(other, '^%d %d+ (%d+) '))
    end
  end
  return count, tokens
end

if ARGV[1] == 'take' then
  -- id, tokens, rank, since when and until when it waits (ms; 0: it would not), then requests and
  -- tokens a minute, requests and tokens a day, requests at once; -1: no limit.
  -- Answers the milliseconds to wait: 0, it is taken; -1, it will never fit.
  local id, tokens, rank, since = ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
  local waits_until = tonumber(ARGV[7])
  local rpm, tpm, rpd, tpd = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
  local at_once = tonumber(ARGV[12])
  let_go()
  if redis.call('HEXISTS', hash, 'h:' .. id) == 1 then return 0 end
  if (tpm >= 0 and tokens > tpm) or (tpd >= 0 and tokens > tpd) or rpm == 0 or rpd == 0
     or at_once == 0 then
    return -1
  end
  if since == 0 then since = now end
  if rank == '0' then
    redis.call('HSET', hash, 'u', now)
  elseif now - number('u') < URGENT_MS then
    local function others(limit) return limit < 0 and limit or limit - math.floor(limit / KEPT_PART) end
    rpm, tpm, rpd, tpd, at_once = others(rpm), others(tpm), others(rpd), others(tpd), others(at_once)
  end
  local place = string.format('%s %013d %d %s', rank, since, tokens, id)
  local queue, queue_tokens = 0, 0
  if redis.call('EXISTS', waiting) == 1 then queue, queue_tokens = in_front(place) end

  local wait, count, spent = 0, redis.call('ZCARD', taken) + queue, number('s') + queue_tokens
  if rpm >= 0 and count >= rpm then
    local soonest = until_gone(function(gone) return count - gone < rpm end)
    wait = math.max(wait, soonest >= 0 and soonest or MINUTE_MS)
  end
  if tpm >= 0 and spent + tokens > tpm then
    local soonest = until_gone(function(_, freed) return spent - freed + tokens <= tpm end)
    wait = math.max(wait, soonest >= 0 and soonest or MINUTE_MS)
  end
  if (rpd >= 0 and number('r') + queue >= rpd)
     or (tpd >= 0 and number('t') + queue_tokens + tokens > tpd) then
    wait = math.max(wait, (day + 1) * DAY_MS - now)
  end
  if at_once >= 0 and redis.call('ZCARD', running) + queue >= at_once then
    wait = math.max(wait, 1000 * math.ceil((queue + 1) / at_once))  -- nobody knows: a second each
  end
  if wait > 0 then
    if now + wait <= waits_until then
      redis.call('ZADD', waiting, waits_until, place)
      redis.call('EXPIRE', waiting, KEEP_SECONDS)
    else
      redis.call('ZREM', waiting, place)
    end
    return wait
  end
  redis.call('ZREM', waiting, place)
  redis.call('ZADD', taken, now, id)
  redis.call('HSET', hash, 'm:' .. id, tokens, 'h:' .. id, day .. ' ' .. tokens)
  redis.call('HINCRBY', hash, 's', tokens)
  redis.call('HINCRBY', hash, 'r', 1)
  redis.call('HINCRBY', hash, 't', tokens)
  redis.call('EXPIRE', taken, KEEP_SECONDS)
  redis.call('EXPIRE', hash, KEEP_SECONDS)
  if at_once >= 0 then
    redis.call('ZADD', running, now + LEASE_MS, id)
    redis.call('EXPIRE', running, KEEP_SECONDS)
  end
  return 0
end

if ARGV[1] == 'leave' then
  -- id, tokens, rank, since: who waited goes.
  redis.call('ZREM', waiting, string.format('%s %013d %d %s', ARGV[5], ARGV[6], ARGV[4], ARGV[3]))
  return 0
end

if ARGV[1] == 'renew' then
  -- ids: they still run.
  for i = 3, #ARGV do redis.call('ZADD', running, 'XX', now + LEASE_MS, ARGV[i]) end
  return 0
end

if ARGV[1] == 'end' then
  -- id, tokens: what it took in fact.
  let_go()
  local id, tokens = ARGV[3], tonumber(ARGV[4])
  redis.call('ZREM', running, id)
  local held = redis.call('HGET', hash, 'h:' .. id)
  if not held then return 0 end
  local its_day, reserved = string.match(held, '^(%d+) (%d+)$')
  redis.call('HDEL', hash, 'h:' .. id)
  if tonumber(its_day) == day then redis.call('HINCRBY', hash, 't', tokens - reserved) end
  if redis.call('HEXISTS', hash, 'm:' .. id) == 1 then
    redis.call('HSET', hash, 'm:' .. id, tokens)
    redis.call('HINCRBY', hash, 's', tokens - reserved)
  end
  return 0
end

if ARGV[1] == 'peek' then
  -- Answers the last minute's requests and tokens, the day's, how many run, and how many wait.
  let_go()
  return { redis.call('ZCARD', taken), number('s'), number('r'), number('t'),
           redis.call('ZCARD', running), redis.call('ZCARD', waiting) }
end

return redis.error_reply('no such operation: ' .. ARGV[1])
