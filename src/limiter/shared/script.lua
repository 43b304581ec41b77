-- One visit of one process to one limiter: all that changes a shared limiter happens here.
--
-- Levels are integers in the quota's own steps (scale.rs), so nothing is rounded away, and all
-- numbers stay below 2^53, up to which Lua's are exact. They stand as of `time`: the moment at
-- which the last booking is due, which may lie ahead of now by the horizon. What is booked after
-- it is due no earlier, so no request overtakes.
--
-- KEYS  state, line (processes that wait, by since when), alive (until when), people (records)
-- ARGV  what visit.rs writes; all times in microseconds
local LARGEST = 4503599627370496 -- 2^52

local next_arg = 0
local function text()
  next_arg = next_arg + 1
  return ARGV[next_arg]
end
local function number() return tonumber(text()) end
local UNITS = 5
local function amounts()
  local list = {}
  for unit = 1, UNITS do list[unit] = number() end
  return list
end
local function nothing()
  local list = {}
  for unit = 1, UNITS do list[unit] = 0 end
  return list
end
local function int(value) return string.format('%.0f', value) end
local function ints(list)
  local parts = {}
  for i = 1, #list do parts[i] = int(list[i]) end
  return table.concat(parts, ' ')
end
local function numbers(packed)
  local list = {}
  for part in string.gmatch(packed or '', '%-?%d+') do list[#list + 1] = tonumber(part) end
  return list
end

local me, known, known_epoch, known_time = text(), text(), number(), number()
local horizon, life, expiry = number(), number(), number()
local turn, waiters, label = number(), number(), text()
local read = number()
local given, taken, late = amounts(), amounts(), amounts()

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

-- The limits: ten numbers a quota, of which four are reckoned with here.
local function read_limits(packed)
  local flat, quotas = numbers(packed), {}
  for i = 1, #flat, 10 do
    quotas[#quotas + 1] = {
      unit = flat[i] + 1, amount = flat[i + 1], period = flat[i + 2], start = flat[i + 4],
      rate = flat[i + 6], scale = flat[i + 7], tick = flat[i + 8], full = flat[i + 9], whole = flat[i + 9],
      pace = 1000000,
    }
  end
  return quotas
end

-- Any program may have written what stands in the store. What this script would not have written is
-- refused: a key of another type goes, and a limiter that is not whole is forgotten, so that its
-- processes say anew what its limits are. It never stands for "no limit".
for i, wanted in ipairs({'hash', 'zset', 'zset', 'hash'}) do
  local found = redis.pcall('TYPE', KEYS[i])['ok']
  if found and found ~= 'none' and found ~= wanted then redis.call('DEL', KEYS[i]) end
end
local AHEAD = 240000000 -- how far times lie ahead at most: four times the longest horizon
local YEAR = 366 * 24 * 60 * 60 * 1000000
-- The longest text that a process writes is far shorter; what is longer is not passed on to others.
local MOST_TEXT = 16384
local function within(text, least, most)
  local value = tonumber(text or '')
  return value and value >= least and value <= most and value == math.floor(value)
end

local state = redis.call('HMGET', KEYS[1],
  'incarnation', 'epoch', 'limits', 'stated', 'levels', 'time', 'pause', 'seen', 'grants',
  'counted', 'paces', 'noted', 'notes', 'speaker', 'spoke', 'fulls')
local incarnation, epoch = state[1], tonumber(state[2] or '0')
local limits, stated = state[3], state[4]
local function is_whole()
  local time, seen = state[6], state[8]
  if #(limits or '') > MOST_TEXT or #(stated or '') > MOST_TEXT or #incarnation > MOST_TEXT then
    return false
  end
  if not (within(epoch, 1, LARGEST) and within(seen, 0, LARGEST) and within(state[9], 0, LARGEST)
      and within(time, 0, tonumber(seen) + AHEAD)) then
    return false
  end
  local flat, levels = numbers(limits), numbers(state[5])
  if #flat % 10 ~= 0 or #flat * 2 ~= #levels * 10 then return false end
  if #flat == 0 and stated ~= '' then return false end
  for i = 1, #flat, 10 do
    local full, level = flat[i + 9], (i - 1) / 5 + 1
    for _, at in ipairs({2, 6, 7, 8, 9}) do
      if not within(flat[i + at], 1, LARGEST) then return false end
    end
    if not (within(flat[i], 0, UNITS - 1) and within(flat[i + 4], 0, LARGEST)
        and within(levels[level], -LARGEST, full)
        and within(levels[level + 1], 0, tonumber(seen) + AHEAD)) then
      return false
    end
  end
  return true
end
if incarnation and not is_whole() then incarnation, state[9], state[10] = false, false, false end
local quotas, time, pause, grants = {}, 0, 0, tonumber(state[9] or '0')

-- By unit, what was ever booked (1 to 5) and what moved the levels besides (6 to 10): what was taken,
-- less what came back. They begin anew at 0 with an incarnation, or where they would not be exact.
local BOOKED, MOVED = 0, UNITS
local counted = numbers(state[10])
local function count(list, cost, sign)
  for unit = 1, UNITS do
    local sum = (counted[list + unit] or 0) + sign * cost[unit]
    if math.abs(sum) > LARGEST then sum = 0 end
    counted[list + unit] = sum
  end
end
for _, list in ipairs({BOOKED, MOVED}) do count(list, nothing(), 1) end

-- What processes have observed of the server: the last ones, each with its number, its time and its
-- author. They are passed on and never looked into.
local MOST_NOTES = 64
local noted, notes = 0, {}
-- The process whose estimate the bookings follow, and when it last reported it.
local speaker, spoke = '', 0
if incarnation then
  if within(state[15], 0, LARGEST) then speaker, spoke = string.sub(state[14] or '', 1, 100), tonumber(state[15]) end
  if within(state[12], 0, LARGEST) then noted = tonumber(state[12]) end
  for nth, at, author, body in string.gmatch(state[13] or '', '(%d+) (%d+) (%S+) ([^\n]*)\n') do
    if #notes < MOST_NOTES and #author + #body <= MOST_TEXT and within(nth, 1, noted) and within(at, 0, LARGEST) then
      notes[#notes + 1] = {nth = tonumber(nth), at = tonumber(at), author = author, body = body}
    end
  end
end

-- What comes in within this many ticks: at the pace that an estimator has reported, in millionths.
local MILLION = 1000000
local function comes(quota, ticks)
  local came = ticks * quota.rate
  if quota.pace == MILLION then return came end
  return math.floor(math.min(came, LARGEST) / MILLION * quota.pace)
end
local function advance(to)
  for _, quota in ipairs(quotas) do
    local ticks = math.floor((to - quota.at) / quota.tick)
    if ticks > 0 then
      local came_in = comes(quota, ticks)
      if came_in >= quota.full - quota.level then
        quota.level, quota.at = quota.full, to
      else
        quota.level, quota.at = quota.level + came_in, quota.at + ticks * quota.tick
      end
    end
  end
  time = math.max(time, to)
end
local function scaled(quota, cost)
  return math.min(cost[quota.unit] * quota.scale, LARGEST)
end
local function take(cost, list)
  count(list, cost, 1)
  for _, quota in ipairs(quotas) do
    quota.level = math.max(quota.level - scaled(quota, cost), -LARGEST)
  end
end
local function give(cost)
  count(MOVED, cost, -1)
  for _, quota in ipairs(quotas) do
    quota.level = math.min(quota.level + scaled(quota, cost), quota.full)
  end
end

-- Other limits from now on: what is used stays used, but a bucket that gets smaller is at most empty,
-- unless it was in debt: it may never have been full.
local function hold(packed)
  local old = quotas
  limits, quotas, epoch = packed, read_limits(packed), epoch + 1
  local function find(list, unit, period)
    for _, quota in ipairs(list) do
      if quota.unit == unit and quota.period == period then return quota end
    end
  end
  for _, quota in ipairs(quotas) do
    local before, other = find(old, quota.unit, quota.period), false
    for _, ended in ipairs(old) do
      if not before and not other and ended.unit == quota.unit
          and not find(quotas, ended.unit, ended.period) then
        other = ended
      end
    end
    quota.at = time
    if before or other then
      local of = before or other
      local used = math.ceil((of.full - of.level) / of.scale)
      local debt = 0
      if before then debt = math.min(math.floor(of.level / of.scale), 0) end
      local most = math.max(debt * quota.scale, -LARGEST)
      quota.level = math.max(quota.full - used * quota.scale, most)
    else
      quota.level = math.min(quota.start * quota.scale, quota.full)
    end
  end
end

-- A process that comes for the first time, or finds that the store has forgotten, sends the limits.
local joins, own, own_stated, start_full = text() == '1', '', '', false
if joins then own, own_stated, start_full = text(), text(), text() == '1' end

if not incarnation then
  if not joins then return {0} end
  incarnation = int(now) .. '-' .. me
  time = now
  -- What others have booked in a store that has forgotten it is due within a horizon.
  if known ~= '' then time = now + horizon end
  limits, quotas, epoch, stated = own, read_limits(own), 1, own_stated
  for _, quota in ipairs(quotas) do
    quota.level, quota.at = 0, time
    if start_full and known == '' then
      quota.level = math.min(quota.start * quota.scale, quota.full)
    end
  end
else
  if incarnation ~= known and not joins then return {0} end
  quotas = read_limits(limits)
  local levels, paces, fulls = numbers(state[5]), numbers(state[11]), numbers(state[16])
  time, pause = tonumber(state[6]), 0
  if within(state[7], 0, tonumber(state[8]) + YEAR) then pause = tonumber(state[7]) end
  -- A clock that has stepped back takes all of its times along.
  local step = math.min(now - tonumber(state[8]), 0)
  time, pause = time + step, pause + step
  for i, quota in ipairs(quotas) do
    quota.level, quota.at = levels[2 * i - 1], levels[2 * i] + step
    quota.pace = within(paces[i], 1, 1000 * MILLION) and paces[i] or MILLION
    if within(fulls[i], 1, quota.whole) then quota.full = fulls[i] end
  end
  for _, note in ipairs(notes) do note.at = math.max(note.at + step, 0) end
  advance(math.max(now, time))
  -- A store that was restored, or a replica that took over, may have forgotten the last bookings.
  if incarnation == known and known_time > tonumber(state[6]) then
    advance(math.max(time, now + horizon))
    for _, quota in ipairs(quotas) do quota.level = math.min(quota.level, 0) end
  end
  if joins and own_stated ~= '' and own_stated ~= stated then
    stated = own_stated
    hold(own)
  end
end

-- What dead processes had booked and cannot have used comes back.
local function record_of(who)
  local record = numbers(string.match(redis.call('HGET', KEYS[4], who) or '', '^[^|]*'))
  for i = 1, 2 * UNITS + 3 do
    if not within(record[i], 0, LARGEST) then return {} end
  end
  return record
end
-- Of a record: its late amounts (from the 2nd number on) or those of its last booking behind them.
local function part_of(record, from)
  local list = {}
  for unit = 1, UNITS do list[unit] = record[from + unit] end
  return list
end
local function forget(who)
  local record = record_of(who)
  redis.call('ZREM', KEYS[2], who)
  redis.call('ZREM', KEYS[3], who)
  redis.call('HDEL', KEYS[4], who)
  return record
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '(' .. int(now + AHEAD), '+inf')
for _, who in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. int(now), 'LIMIT', 0, 4)) do
  if who ~= me then
    local record = forget(who)
    if #record > 0 then give(part_of(record, 1)) end
  end
end

-- What this process reports. A sync that is repeated because its answer was lost counts once, and
-- what was booked in it comes back: no process knows of it.
local record = record_of(me)
local repeated = record[1] == turn
if repeated then give(part_of(record, 1 + UNITS)) end
if not repeated then
  take(taken, MOVED)
  give(given)
end
for _ = 1, number() do
  local order = text()
  if order == 'pause' then
    local length = number()
    if not repeated then pause = math.max(pause, now + length) end
  elseif order == 'resume' then
    if not repeated then pause = 0 end
  elseif order == 'hold' then
    local packed, base = text(), number()
    if not repeated and (base == 0 or base == epoch) then hold(packed) end
  elseif order == 'level' then
    local unit, period, left = number() + 1, number(), number()
    for _, quota in ipairs(quotas) do
      if not repeated and quota.unit == unit and quota.period == period then
        local level = math.max(math.min(left * quota.scale, quota.full), -LARGEST)
        quota.level = level
      end
    end
  elseif order == 'most' then
    local unit, period, left = number() + 1, number(), number()
    for _, quota in ipairs(quotas) do
      if not repeated and quota.unit == unit and quota.period == period then
        quota.level = math.max(math.min(quota.level, left * quota.scale), -LARGEST)
      end
    end
  elseif order == 'left' then
    -- So much is left now, with so much counted. What has been counted since is taken from it, and
    -- what comes in until the levels' time is added: they stand ahead of now.
    local unit, period, left, then_counted = number() + 1, number(), number(), number()
    local may_raise, refused, comes_in, most = text() == '1', text() == '1', number(), number()
    -- The estimators of all differ a little, so one of them speaks. Others take over when it is silent
    -- for a horizon, and lower what is left when they were refused.
    local speaks = speaker == me or now > spoke + horizon or now < spoke
    if speaks and not repeated then speaker, spoke = me, now end
    local spent = counted[BOOKED + unit] + counted[MOVED + unit] - then_counted
    for _, quota in ipairs(quotas) do
      if not repeated and incarnation == known and math.abs(spent) < LARGEST / 2
          and quota.unit == unit and quota.period == period then
        if speaks then
          local pace = math.floor(comes_in * 1000 / quota.amount)
          quota.pace = math.max(math.min(pace, (may_raise and 20 or 1) * MILLION), MILLION / 100)
          quota.full = math.min(quota.whole, math.max(most * quota.scale, quota.scale))
        end
        local came = comes(quota, math.floor((quota.at - now) / quota.tick))
        local level = math.min(left * quota.scale, LARGEST) + math.min(came, LARGEST)
        level = level - math.max(math.min(spent * quota.scale, LARGEST), -LARGEST)
        level = math.max(math.min(level, quota.full), -LARGEST)
        if speaks and may_raise or (speaks or refused) and level < quota.level then
          quota.level = level
        end
      end
    end
  elseif order == 'quiesce' then
    if not repeated then advance(math.max(time, now + horizon)) end
  elseif order == 'note' then
    local age, body = number(), text()
    if not repeated then
      noted = noted + 1
      notes[#notes + 1] = {nth = noted, at = math.max(now - age, 0), author = me, body = body}
      if #notes > MOST_NOTES then table.remove(notes, 1) end
    end
  end
end

-- The process that has waited longest goes first, to within half a horizon; others come again after
-- it has. One that should have come and has not holds no other up.
local asked, more = number(), text() == '1'
local costs, since = {}, {}
for i = 1, asked do
  since[i] = now - number()
  costs[i] = amounts()
end
local is_allowed, come = true, now
if asked > 0 then
  redis.call('ZADD', KEYS[2], int(since[1]), me)
  for _ = 1, 4 do
    local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    is_allowed = since[1] <= tonumber(first[2]) + horizon / 2
    if is_allowed then break end
    local other = record_of(first[1])
    local comes_at = other[2 * UNITS + 2]
    if comes_at and comes_at <= now + AHEAD and now <= comes_at + horizon / 2 then
      come = math.min(math.max(comes_at, now) + horizon / 32, now + horizon / 2)
      break
    end
    redis.call('ZREM', KEYS[2], first[1])
  end
end

local all_late = 0
for unit = 1, UNITS do all_late = all_late + late[unit] end
if asked > 0 or waiters > 0 or all_late > 0 then
  redis.call('ZADD', KEYS[3], int(now + life), me)
end
local people = math.max(redis.call('ZCARD', KEYS[3]), 1)
local slice = math.floor(horizon / (4 * people))
-- Of processes that come at the same time, the first does not take all that there is.
local is_new = #record == 0
if is_new then slice = math.min(slice, math.floor(horizon / 64)) end

local dues, booked = {}, nothing()
local begins = math.max(time, now)
if is_allowed then
  for i = 1, asked do
    local cost, due = costs[i], math.max(time, now, pause)
    for _, quota in ipairs(quotas) do
      local missing = math.min(scaled(quota, cost), quota.full) - quota.level
      if missing > 0 then
        local rest = missing % quota.rate
        local ticks = (missing - rest) / quota.rate
        if rest > 0 then ticks = ticks + 1 end
        if quota.pace ~= MILLION then ticks = math.ceil(ticks * MILLION / quota.pace) + 1 end
        due = math.max(due, quota.at + ticks * quota.tick)
      end
    end
    if due > now + horizon then
      come = due - 3 * horizon / 4
      break
    elseif #dues > 0 and due > now and due > begins + slice then
      come = time - horizon / 2
      if is_new then come = math.max(come, now + horizon / 32) end
      break
    end
    advance(due)
    take(cost, BOOKED)
    dues[i] = due
    for unit = 1, UNITS do
      booked[unit] = booked[unit] + cost[unit]
      if due > now + horizon / 2 then late[unit] = late[unit] + cost[unit] end
    end
  end
end
grants = grants + #dues
if #dues == asked then
  come = now
  if more then
    redis.call('ZADD', KEYS[2], int(since[asked]), me)
  else
    redis.call('ZREM', KEYS[2], me)
    come = 0
  end
elseif #dues > 0 then
  redis.call('ZADD', KEYS[2], int(since[#dues + 1]), me)
end
if come > 0 then come = math.floor(math.max(math.min(come, now + horizon), now)) end

if waiters < 0 then
  forget(me)
else
  local mine = {turn}
  for unit = 1, UNITS do mine[1 + unit], mine[1 + UNITS + unit] = late[unit], booked[unit] end
  mine[#mine + 1], mine[#mine + 2] = come > 0 and come or now, waiters
  redis.call('HSET', KEYS[4], me, ints(mine) .. '|' .. label)
end

local levels, paces, fulls = {}, {}, {}
for i, quota in ipairs(quotas) do
  levels[2 * i - 1], levels[2 * i] = quota.level, quota.at
  paces[i], fulls[i] = quota.pace, quota.full
end
local lines = {}
for i, note in ipairs(notes) do
  lines[i] = int(note.nth) .. ' ' .. int(note.at) .. ' ' .. note.author .. ' ' .. note.body .. '\n'
end
redis.call('HSET', KEYS[1], 'incarnation', incarnation, 'epoch', int(epoch), 'limits', limits,
  'stated', stated, 'levels', ints(levels), 'time', int(time), 'pause', int(pause),
  'seen', int(now), 'grants', int(grants), 'counted', ints(counted),
  'paces', ints(paces), 'fulls', ints(fulls), 'noted', int(noted), 'notes', table.concat(lines),
  'speaker', speaker, 'spoke', int(spoke))
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], expiry) end

local answer = {1, incarnation, now, epoch, time, pause, people, come, #dues}
for i = 1, #dues do answer[9 + i] = dues[i] end
answer[#answer + 1] = #quotas
for _, quota in ipairs(quotas) do
  answer[#answer + 1] = math.floor(quota.level / quota.scale)
end
for i = 1, 2 * UNITS do answer[#answer + 1] = counted[i] end
answer[#answer + 1] = epoch ~= known_epoch and limits or ''
answer[#answer + 1] = noted
answer[#answer + 1] = 0
local many = #answer
for _, note in ipairs(notes) do
  if note.author ~= me and (note.nth > read or incarnation ~= known) then
    answer[many] = answer[many] + 1
    answer[#answer + 1] = note.at
    answer[#answer + 1] = note.body
  end
end
return answer
