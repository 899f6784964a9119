# Answers of R (pROC, geepack) for one wide table, as JSON; `benchmarks/verify_r.py` compares them with microcalc's.
# usage: Rscript verify_r.R DATA.csv OUT.json
suppressMessages({library(pROC); library(geepack); library(jsonlite)})
args <- commandArgs(TRUE)
d <- read.csv(args[1], colClasses = c(image_id = "character", patient_id = "character"))
models <- setdiff(names(d), c("image_id", "patient_id", "label")); y <- d$label
rocs <- lapply(models, function(m) roc(y, d[[m]], levels = c(0, 1), direction = "<", quiet = TRUE)); names(rocs) <- models

per_model <- lapply(rocs, function(r) list(auc = as.numeric(auc(r)), se = sqrt(var(r, method = "delong")),
  partial = as.numeric(auc(r, partial.auc = c(1, .8))), partial_se = as.numeric(auc(r, partial.auc = c(1, .8), partial.auc.focus = "sens")),
  best = sort(as.numeric(coords(r, "best", ret = "threshold", best.method = "youden", transpose = FALSE)$threshold))))
V <- outer(models, models, Vectorize(function(a, b) if (a == b) var(rocs[[a]], method = "delong") else cov(rocs[[a]], rocs[[b]], method = "delong")))
theta <- sapply(per_model, function(x) x$auc)
pairs <- combn(models, 2)
tests <- lapply(seq_len(ncol(pairs)), function(i) { t <- roc.test(rocs[[pairs[1, i]]], rocs[[pairs[2, i]]], method = "delong", paired = TRUE)
  list(z = as.numeric(t$statistic), p = t$p.value) })
K <- length(models); L <- cbind(-1, diag(K - 1)); delta <- L %*% theta
chi2 <- as.numeric(t(delta) %*% solve(L %*% V %*% t(L), delta))

# cut-offs: exact integer Youden, smallest of several, rule score > cut
P <- sum(y == 1); N <- sum(y == 0)
cut <- sapply(models, function(m) { s <- d[[m]]; u <- c(-Inf, sort(unique(s)))
  J <- sapply(u, function(c) sum(s[y == 1] > c) * N - sum(s[y == 0] > c) * P); u[which.max(J)] })
called <- sapply(models, function(m) as.integer(d[[m]] > cut[[m]]))

long <- function(measure) do.call(rbind, lapply(models, function(m) { p <- called[, m]
  keep <- switch(measure, accuracy = rep(TRUE, nrow(d)), sensitivity = y == 1, specificity = y == 0, ppv = p == 1, npv = p == 0)
  v <- switch(measure, accuracy = as.integer(p == y), sensitivity = p, specificity = 1L - p, ppv = y, npv = 1L - y)
  data.frame(image = d$image_id[keep], patient = d$patient_id[keep], model = factor(rep(m, sum(keep)), levels = models), y = v[keep]) }))
chi <- function(delta, S) as.numeric(t(delta) %*% solve(S, delta))
gee <- function(measure, cluster) {
  x <- long(measure); x$id <- as.integer(factor(x[[cluster]])); x <- x[order(x$id, x$model), ]
  fit <- geeglm(y ~ 0 + model, id = id, data = x, family = binomial, corstr = "independence", control = geese.control(epsilon = 1e-12, maxit = 200))
  b <- coef(fit); S <- vcov(fit); p <- plogis(b); D <- diag(p * (1 - p)); Sp <- D %*% S %*% D
  n <- tapply(x$y, x$model, length); ph <- tapply(x$y, x$model, mean)
  score <- function(sub) { j <- match(sub, models); C <- cbind(-1, diag(length(sub) - 1)); p0 <- mean(x$y[x$model %in% sub])
    R <- xtabs((x$y - p0) ~ x[[cluster]] + x$model)[, sub, drop = FALSE]; M <- crossprod(unclass(R)) / outer(n[j], n[j])
    chi(C %*% ph[j], C %*% M %*% t(C)) }
  wald <- function(v, S, sub) { j <- match(sub, models); C <- cbind(-1, diag(length(sub) - 1)); chi(C %*% v[j], C %*% S[j, j] %*% t(C)) }
  sets <- c(list(models), lapply(seq_len(ncol(pairs)), function(i) pairs[, i]))
  list(measure = measure, cluster = cluster, se = unname(sqrt(diag(Sp))),
       tests = lapply(sets, function(s) list(wald_logit = wald(b, S, s), score = score(s), wald_identity = wald(p, Sp, s)))) }
measures <- c("sensitivity", "specificity", "accuracy", "ppv", "npv")
answers <- list(models = models, per_model = per_model, covariance = V, pairs = tests, overall = list(chi2 = chi2, p = pchisq(chi2, K - 1, lower.tail = FALSE)),
  cut = as.list(cut), gee = unlist(lapply(c("image", "patient"), function(c) lapply(measures, gee, cluster = c)), recursive = FALSE))
if (nrow(d) <= 400) { set.seed(1); grid <- seq(0, 1, .1)
  ci <- ci.auc(rocs[[1]], method = "bootstrap", boot.n = 4000, progress = "none"); band <- ci.se(rocs[[1]], specificities = grid, boot.n = 4000, progress = "none")
  answers$bootstrap <- list(grid = grid, auc = c(ci[1], ci[3]), low = band[, 1], high = band[, 3]) }
writeLines(toJSON(answers, digits = NA, auto_unbox = TRUE), args[2])
