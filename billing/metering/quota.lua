-- Admission: every limit of one account, decided and booked in one step.
--
-- KEYS[1]  the account's hash.  Warm, it holds everything that is known of the account:
--            h, hr       the hour (Unix time / 3600 s) and the requests booked in it
--            d, dr, dt   the day (Unix time / 86400 s), its requests and its tokens
--            n           the requests that run
--            u:<session> the day's requests of one session
--            r:<id>      one running request:
--                        "hour day tokens process deadline_ms session address", "-" for none
--          Without `h` it is cold: nothing is known, and the ledger must be summed first.  While
--          cold it may hold
--            s:<id>      a request that ended meanwhile: "charged tokens"
--            f           when it was made to forget the account, in ms
-- KEYS[2]  the partition's epoch: when this store, as it is now, was first asked.
-- ARGV     operation, then the operation's own.  Windows come from this store's clock alone.
--
-- Every operation answers {verdict, now_ms, hr, dr, dt, running, session's requests, extra}.  Each
-- is safe to repeat: a request is booked and unbooked by its id.

local account, epoch_key = KEYS[1], KEYS[2]
local KEEP_SECONDS = 172800
local TOMBSTONE_SECONDS = 120
local NONE = '-'

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[2] ~= '0' then now = tonumber(ARGV[2]) end  -- a test's clock

local function load()
  local v = redis.call('HMGET', account, 'h', 'hr', 'd', 'dr', 'dt', 'n')
  if not v[1] then return nil end
  local s = { h = tonumber(v[1]), hr = tonumber(v[2]), d = tonumber(v[3]),
              dr = tonumber(v[4]), dt = tonumber(v[5]), running = tonumber(v[6]) }
  local hour, day = math.floor(now / 3600000), math.floor(now / 86400000)
  if hour > s.h then s.h = hour; s.hr = 0 end
  if day > s.d then s.d = day; s.dr = 0; s.dt = 0; s.day_is_new = true end
  return s
end

local function store(s)
  if s.day_is_new then
    for _, field in ipairs(redis.call('HKEYS', account)) do
      if string.sub(field, 1, 2) == 'u:' then redis.call('HDEL', account, field) end
    end
    s.day_is_new = false
  end
  redis.call('HSET', account, 'h', s.h, 'hr', s.hr, 'd', s.d, 'dr', s.dr, 'dt', s.dt,
    'n', s.running)
  redis.call('EXPIRE', account, KEEP_SECONDS)
end

local function of_session(s, session)
  if session == NONE or s.day_is_new then return 0 end
  return tonumber(redis.call('HGET', account, 'u:' .. session) or 0)
end

local function answer(verdict, s, session, extra)
  return { verdict, now, s.hr, s.dr, s.dt, s.running, of_session(s, session), extra or 0 }
end

-- The moment from which on bookings may be missing here that were made before it.
local function epoch()
  local since = redis.call('GET', epoch_key)
  if not since then since = now; redis.call('SET', epoch_key, since) end
  return math.max(tonumber(since), tonumber(redis.call('HGET', account, 'f') or 0))
end

local function cold(age) return { 'cold', now, 0, 0, 0, 0, 0, age } end

-- Takes one booking's share out of the windows it was booked in, if they are still the current
-- ones, and puts in what it came to.
local function rebook(s, booking, charged, tokens)
  local h, d, reserved, session = string.match(booking, '^(%d+) (%d+) (%d+) %S+ %d+ (%S+)')
  local keeps = charged and 1 or 0
  if tonumber(h) == s.h then s.hr = s.hr - 1 + keeps end
  if tonumber(d) == s.d then
    s.dr = s.dr - 1 + keeps
    s.dt = s.dt - tonumber(reserved) + (charged and tokens or 0)
    if not charged and session ~= NONE and not s.day_is_new then
      redis.call('HINCRBY', account, 'u:' .. session, -1)
    end
  end
end

local operation = ARGV[1]

if operation == 'reserve' then
  local id, process, deadline = ARGV[3], ARGV[4], ARGV[5]
  local prompt, output, least = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
  local at_once, per_hour = tonumber(ARGV[9]), tonumber(ARGV[10])
  local per_day, tokens_per_day = tonumber(ARGV[11]), tonumber(ARGV[12])  -- -1: no limit
  local per_session, session, address = tonumber(ARGV[13]), ARGV[14], ARGV[15]
  local s = load()
  if not s then return cold(now - epoch()) end
  local booked = redis.call('HGET', account, 'r:' .. id)
  if booked then  -- the answer to the first call was lost on its way
    local granted = tonumber(string.match(booked, '^%d+ %d+ (%d+)')) - prompt
    return answer('admitted', s, session, granted > 0 and granted or output)
  end
  -- The limit with the longest wait is named first: it is the one that matters.
  if per_day >= 0 and s.dr >= per_day then return answer('requests_per_day', s, session) end
  if tokens_per_day >= 0 then
    local left = tokens_per_day - s.dt - prompt
    if left < least then return answer('tokens_per_day', s, session) end
    if output < 0 or output > left then output = left end
  end
  if per_session >= 0 and session ~= NONE and of_session(s, session) >= per_session then
    return answer('requests_per_session', s, session)
  end
  if per_hour >= 0 and s.hr >= per_hour then return answer('requests_per_hour', s, session) end
  if s.running >= at_once then return answer('concurrent_requests', s, session) end
  local reserved = prompt + math.max(output, 0)
  s.hr = s.hr + 1; s.dr = s.dr + 1; s.dt = s.dt + reserved; s.running = s.running + 1
  store(s)
  if session ~= NONE then redis.call('HINCRBY', account, 'u:' .. session, 1) end
  redis.call('HSET', account, 'r:' .. id, string.format('%d %d %d %s %s %s %s',
    s.h, s.d, reserved, process, deadline, session, address))
  return answer('admitted', s, session, output)
end

if operation == 'settle' then
  local id, charged, tokens = ARGV[3], ARGV[4] == '1', tonumber(ARGV[5])
  local s = load()
  if not s then
    -- The store was emptied, and somebody may be summing the ledger from before this end.
    redis.call('HSET', account, 's:' .. id, ARGV[4] .. ' ' .. ARGV[5])
    redis.call('EXPIRE', account, TOMBSTONE_SECONDS)
    return cold(0)
  end
  local booking = redis.call('HGET', account, 'r:' .. id)
  if not booking then return answer('absent', s, NONE) end
  redis.call('HDEL', account, 'r:' .. id)
  s.running = s.running - 1
  rebook(s, booking, charged, tokens)
  store(s)
  return answer('settled', s, string.match(booking, '^%d+ %d+ %d+ %S+ %d+ (%S+)'))
end

if operation == 'seed' then
  -- epoch, hour, its requests, day, its requests, its tokens, how many sessions, then "session"
  -- and its requests in pairs, then "id" and "booking" in pairs
  local since = epoch()
  local s = load()
  if s then return answer('warm', s, NONE) end
  -- Emptied once more since the caller was told: there may be bookings that its sum has not seen.
  if since ~= tonumber(ARGV[3]) then return cold(0) end
  local ended = {}
  local held = redis.call('HGETALL', account)
  for i = 1, #held, 2 do ended[held[i]] = held[i + 1] end
  redis.call('DEL', account)
  s = { h = tonumber(ARGV[4]), hr = tonumber(ARGV[5]), d = tonumber(ARGV[6]),
        dr = tonumber(ARGV[7]), dt = tonumber(ARGV[8]), running = 0 }
  local bookings = 10 + 2 * tonumber(ARGV[9])
  for i = 10, bookings - 2, 2 do redis.call('HSET', account, 'u:' .. ARGV[i], ARGV[i + 1]) end
  for i = bookings, #ARGV, 2 do
    local end_of_it = ended['s:' .. ARGV[i]]
    if end_of_it then
      local charged, tokens = string.match(end_of_it, '^(%d) (%d+)')
      rebook(s, ARGV[i + 1], charged == '1', tonumber(tokens))
    else
      redis.call('HSET', account, 'r:' .. ARGV[i], ARGV[i + 1])
      s.running = s.running + 1
    end
  end
  store(s)
  return answer('seeded', load(), NONE)
end

if operation == 'peek' then
  local s = load()
  if not s then return cold(now - epoch()) end
  return answer('peeked', s, ARGV[3])
end

if operation == 'forget' then
  -- The ledger was changed beside us: it is summed anew once every booking from before is in it.
  -- Later than any moment that a sum on its way was asked for.
  local since = math.max(now, epoch() + 1)
  redis.call('DEL', account)
  redis.call('HSET', account, 'f', since)
  redis.call('EXPIRE', account, KEEP_SECONDS)
  return cold(0)
end

return redis.error_reply('no such operation: ' .. operation)
